"""Inspection of the images: facts of each file, duplicates among them, and findings for a person."""
