"""Interpolation between the initial and the fine-tuned weights of a run (WiSE-FT)."""
