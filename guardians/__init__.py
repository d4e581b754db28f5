"""Guardians: each watches the same streams, ticks, asks one question and publishes one event."""
