"""Starts what the factory needs, in order, keeps it running, and ends it without leaving anything behind."""
