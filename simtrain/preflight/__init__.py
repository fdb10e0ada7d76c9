"""Warnings before training: what of a configuration will not go well with a catalogue."""

from simtrain.preflight.conflicts import conflict_warnings

__all__ = ["conflict_warnings"]
