"""The image store: images decoded once and reduced, read by training, evaluation and export."""
