"""Speakers, and what they can read aloud."""
