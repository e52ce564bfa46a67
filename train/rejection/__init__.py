"""How sure a photo shows a known landmark at all."""
