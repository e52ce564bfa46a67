"""What is needed to undo a run."""
