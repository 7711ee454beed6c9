"""Where state lives: blobs by hash, the catalog (SQL), and models in the user's cache folder."""
