"""Where a run's figures can go besides its tables."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from simtrain.training.tracking.worst_queries import ShownQuery


class Tracker(Protocol):
    """Takes what a run tells, on the first process only; each method returns in a bounded time."""

    def begin(self, *, step: int) -> None:
        """The run goes on from `step`; 0 for one that begins."""

    def figures(self, values: Mapping[str, float], *, step: int) -> None:
        """Numbers of the state after `step` steps."""

    def histograms(self, values: Mapping[str, tuple[int, ...]], *, step: int) -> None:
        """Numbers of pairs in the bins of `HISTOGRAM_EDGES`."""

    def queries(self, queries: Sequence[ShownQuery], *, step: int) -> None:
        """The worst queries of a validation."""

    def end(self, failure: BaseException | None) -> None:
        """The run is over, or `failure` has ended it; a second call does nothing."""
