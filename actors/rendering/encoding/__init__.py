"""Frames and sound into an MP4."""
