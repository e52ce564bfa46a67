"""Where photos live: folders of this machine and buckets."""
