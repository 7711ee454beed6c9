"""Plug-ins for Slipway, one module for each kind."""
