"""Runs the factory and talks to it: the launcher, the command line, and what operators need around them."""
