"""`bench bus`: the bus beside every task queue on Redis that one would take instead, and beside the bare client."""
