"""Small networks that are trained here: their shapes, their training, and what they become for serving."""
