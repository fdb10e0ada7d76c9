"""One workflow per file; each is a command's body and a function for Python users."""
