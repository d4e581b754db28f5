"""The events: what is asked of the factory, what its stages publish, how it is controlled, what it answers."""
