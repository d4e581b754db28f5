"""The four paid providers as one process: their real wire forms, their own ledger, and their bad days on order."""
