"""Processor cores that this process may use."""

import os


def usable_cores() -> int:
    """Number of cores, 1 or more: those that the system lets it use, where it says so, as all but macOS do."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
