"""The factory in one thread and in seconds: real actors over a bus and a record in memory, under a seeded scheduler.

`python -m tests.simulation` plays seeds; see `world` for what a seed is and `invariants` for what must hold.
"""
