"""Photo formats: where each keeps EXIF and XMP, and how they are written."""
