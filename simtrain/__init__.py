"""Fine-tune pretrained image encoders for similar-product search."""

__version__ = "0.1.0"
