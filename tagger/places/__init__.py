"""The places that can be named."""
