"""Providers: who writes, finds pictures and speaks; each local one works without any key."""
