"""How the house scales: with what waits, and with the processes that work."""
