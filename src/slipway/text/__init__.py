"""Text in any language: how it is cut into words, which language it is in, how it is shown."""
