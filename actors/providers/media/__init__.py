"""Finders and makers of pictures."""
