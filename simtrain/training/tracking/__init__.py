"""What a run tells about itself: statistics of its embeddings, a table of its steps, W&B and TensorBoard on request."""
