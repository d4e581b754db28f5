"""The record in memory: for each statement of ours, what it does to the tables; a conformance suite binds both."""
