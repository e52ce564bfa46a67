"""landmark-tag: recognise the landmark on a photo and write its place into the photo."""

__version__ = "0.2.0"
