"""Running the factory: the command line, its servers and processes, and what production needs."""
