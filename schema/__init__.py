"""Words, record and money of the factory: what every other floor speaks of, and no other floor is known here."""
