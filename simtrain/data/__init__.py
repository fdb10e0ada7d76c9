"""Data loading: transforms, samplers, datasets, the Lightning DataModule."""
