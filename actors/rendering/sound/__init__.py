"""The sound of a film, at the loudness it must have."""
