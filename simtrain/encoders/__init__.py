"""Image encoders: networks from an image to an embedding, each with the preprocessing of its weights."""
