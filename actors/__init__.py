"""Stage actors: each consumes facts, does its own work and returns the next fact."""
