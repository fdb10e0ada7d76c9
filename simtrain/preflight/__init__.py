"""Warnings before training about settings that do not suit the catalogue."""
