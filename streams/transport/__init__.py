"""The one place that speaks to Redis: commands and scripts, without dramatiq and without the record."""
