"""Experiment tracking: embedding statistics, a table of steps, W&B and TensorBoard on request."""
