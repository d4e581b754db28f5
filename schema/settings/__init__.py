"""The settings of a process: four groups of values, read from the environment."""
