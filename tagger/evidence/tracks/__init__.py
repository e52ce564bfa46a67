"""GPS tracks of many kinds, each read as a stream of points."""
