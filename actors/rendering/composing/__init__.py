"""Frames put together from prepared pictures and patches of text."""
