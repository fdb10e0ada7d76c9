"""Losses as pure functions of embeddings, and the door to pytorch-metric-learning."""
