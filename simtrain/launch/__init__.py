"""Several processes on this machine, and whether they give what one gives."""
