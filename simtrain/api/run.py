"""Run of `simtrain.fit` and `simtrain.open_run`, with its encoder and its export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simtrain.console import Console
from simtrain.runs.run import Run

if TYPE_CHECKING:
    from simtrain.runs.loaded_encoder import LoadedEncoder
    from simtrain.serving.opened_bundle import OpenedBundle


@dataclass(frozen=True, kw_only=True)
class OpenedRun(Run):
    """A run of `simtrain.fit` or `simtrain.open_run`: `.folder`, `.config`, `.best`; `print` says how it ended."""

    @staticmethod
    def of(run: Run) -> OpenedRun:
        """The same run."""
        return OpenedRun(**vars(run))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: its folder, and what `run.json` holds."""
        return {**self.record, "folder": str(self.folder)}

    def encoder(self) -> LoadedEncoder:
        """Its encoder, with the weights of the best epoch or of the mix that `interpolate` chose."""
        from simtrain.runs.loaded_encoder import load_encoder

        return load_encoder(self)

    def export(
        self,
        out: str | Path,
        *,
        alpha: float | None = None,
        relocatable: bool = True,
        console: Console | None = None,
    ) -> OpenedBundle:
        """Write encoder, preprocessing, index and items as one bundle; see `simtrain.export`."""
        from simtrain.api.export import export

        return export(self, out, alpha=alpha, relocatable=relocatable, console=console)
