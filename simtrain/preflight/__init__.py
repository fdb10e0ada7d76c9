"""Warnings before training about settings that do not suit the catalogue."""

from simtrain.preflight.conflicts import conflict_warnings

__all__ = ["conflict_warnings"]
