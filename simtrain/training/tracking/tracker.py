"""Protocol of experiment trackers such as W&B and TensorBoard."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from simtrain.training.tracking.worst_queries import TrackedQuery


class Tracker(Protocol):
    """Receives a run's figures, on rank 0 only; each method returns in a bounded time."""

    def begin(self, *, step: int) -> None:
        """Start, or resume, a run at `step`; 0 for a new run."""

    def figures(self, values: Mapping[str, float], *, step: int) -> None:
        """Record named numbers of the state after `step` steps."""

    def histograms(self, values: Mapping[str, tuple[int, ...]], *, step: int) -> None:
        """Record numbers of pairs in the bins of `HISTOGRAM_EDGES`."""

    def queries(self, queries: Sequence[TrackedQuery], *, step: int) -> None:
        """Record the worst queries of a validation."""

    def end(self, failure: BaseException | None) -> None:
        """End the run, or record the `failure` that ended it; a second call does nothing."""
