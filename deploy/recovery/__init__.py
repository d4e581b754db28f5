"""Backups, and the ways back from them: a dump, a point in time, a bare machine; and what may be thrown away."""
