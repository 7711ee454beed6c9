"""Who may ask: API keys, wrong keys, Host and Origin."""
