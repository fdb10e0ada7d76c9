"""Training: devices and processes, optimizer, freezing, guards, checkpoints, tracking."""
