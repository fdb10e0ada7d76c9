"""The catalogue of product images: sources, verification, splits, the table, the image store. No torch here."""
