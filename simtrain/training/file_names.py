"""Names of the files that training writes into a run's folder; looking for them needs no torch."""

BEST = "best.ckpt"
"""The best state by the validation metric."""

LAST = "last.ckpt"
"""The state that a run goes on from."""

METRICS_FILE = "metrics.csv"
"""A row for each epoch."""
