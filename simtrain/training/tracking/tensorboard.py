"""TensorBoard tracker; the one place that writes event files."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simtrain.errors import SimtrainError
from simtrain.training.tracking.embedding_statistics import HISTOGRAM_EDGES
from simtrain.training.tracking.worst_queries import TrackedQuery, contact_sheet

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


class TensorBoardTracker:
    """Writes to the run's folder `tensorboard`.

    Args:
        folder: The run's folder; it need not exist before `begin`.

    Raises:
        SimtrainError: if the package is not installed.
    """

    def __init__(self, *, folder: Path) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise SimtrainError("needs the extra: pip install 'simtrain[tensorboard]'", argument="tensorboard")
        self._folder = folder / FOLDER
        self._writer: SummaryWriter | None = None

    def begin(self, *, step: int) -> None:
        """Open the files; TensorBoard leaves out what earlier ones hold of later steps."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._folder), purge_step=step + 1 if step else None)

    def figures(self, values: Mapping[str, float], *, step: int) -> None:
        """A curve for each name."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def histograms(self, values: Mapping[str, tuple[int, ...]], *, step: int) -> None:
        """A distribution over the steps for each name."""
        if self._writer is None:
            return
        edges = np.asarray(HISTOGRAM_EDGES)
        centres = (edges[1:] + edges[:-1]) / 2
        for name, bins in values.items():
            counts = np.asarray(bins)
            self._writer.add_histogram_raw(
                name,
                min=float(edges[0]),
                max=float(edges[-1]),
                num=int(counts.sum()),
                sum=float(counts @ centres),
                sum_squares=float(counts @ centres**2),
                bucket_limits=edges[1:].tolist(),
                bucket_counts=counts.tolist(),
                global_step=step,
            )

    def queries(self, queries: Sequence[TrackedQuery], *, step: int) -> None:
        """One picture: a line per query."""
        if self._writer is not None:
            self._writer.add_image("worst_queries", contact_sheet(queries), step, dataformats="HWC")

    def end(self, failure: BaseException | None) -> None:
        """Close the files."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
