"""Networks that turn an image into a vector, each with the preprocessing that belongs to its weights."""
