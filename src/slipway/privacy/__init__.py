"""What must not be kept or shown as it came: secrets, and personal data. Pure; knows no store, no server, no model."""
