"""The only door into a photo: tags written, tags removed, copies."""
