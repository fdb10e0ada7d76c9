"""Retrieval metrics, their uncertainty, and reports."""
