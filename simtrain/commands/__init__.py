"""Workflows, one file a command; each is a command's body and a function for Python users."""
