"""Training: makes the model files that the tagger reads."""
