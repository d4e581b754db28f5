"""The record: Postgres holds the truth, one class per subject, each given the pool."""
