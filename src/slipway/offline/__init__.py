"""A project as one archive that installs and runs on a machine without internet: packages, models, files, state."""
