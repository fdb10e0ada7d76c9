"""From catalogue rows to batches: transforms, samplers, datasets, the Lightning DataModule."""
