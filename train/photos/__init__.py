"""Folders of photos to arrays of pixels."""
