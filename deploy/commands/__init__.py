"""The commands of ./ytempire, one file a subject."""
