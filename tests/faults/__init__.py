"""The fault suite: processes that die at named points, and the promises that must hold all the same."""
