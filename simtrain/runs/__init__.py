"""Runs of `simtrain fit`: their folder, their encoders, their trainer."""
