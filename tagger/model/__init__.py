"""The classifier: its file format, the landmarks it knows, and how it is run."""
