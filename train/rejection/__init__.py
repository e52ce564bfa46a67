"""How surely a photo shows a known landmark at all."""
