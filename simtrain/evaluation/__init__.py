"""Retrieval metrics and their confidence intervals, significance tests, thresholds, plots."""
