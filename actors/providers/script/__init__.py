"""Writers of scripts."""
