"""The pages of the review app, drawn by streamlit."""
