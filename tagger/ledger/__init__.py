"""What it takes to take a run back."""
