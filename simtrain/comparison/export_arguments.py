"""Arguments of `simtrain export` for an encoder of a comparison."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simtrain.catalog.table import Catalog
from simtrain.config import CompareConfig, EncoderConfig, EncoderWhiteningConfig, NamedCode, RelevanceSetting
from simtrain.config.encoder_names import START_PREFIX, whitened_name
from simtrain.evaluation.relevance import filled_columns
from simtrain.runs.run import Run

_SHRINKAGE = float(EncoderWhiteningConfig().shrinkage)


@dataclass(frozen=True, kw_only=True)
class ExportArguments:
    """How an encoder is named to `simtrain export`.

    Attributes:
        name: Its first argument, without whitening.
        options: All others, but for `--out`.
        whitens: Whether export can whiten it: not where its texts would stay as they are.
    """

    name: str
    options: tuple[str, ...]
    whitens: bool

    def as_is(self) -> tuple[str, ...]:
        """The arguments for the encoder without more whitening than its own."""
        return (self.name, *self.options)

    def whitened(self, *, power: float, shrinkage: float) -> tuple[str, ...] | None:
        """The arguments for a whitened variant; None: it cannot be exported.

        Args:
            power: Power of the variances that axes are divided by, 0 to 0.5.
            shrinkage: Shrinkage of the variances towards their mean, 0 to 1.
        """
        if not self.whitens:
            return None
        settings = () if shrinkage == _SHRINKAGE else ("--set", f"encoder.whitening.shrinkage={shrinkage:g}")
        return (whitened_name(self.name, power=power), *self.options, *settings)


def named_arguments(
    name: str, encoder: EncoderConfig, *, config: CompareConfig, runs: Sequence[Run], catalog: Catalog
) -> ExportArguments:
    """Arguments for an encoder off the shelf.

    Args:
        name: Its name as it was typed.
        encoder: Its configuration.
        config: Configuration of the comparison.
        runs: Runs of the comparison, whose relevance it takes where the configuration names none.
        catalog: The compared catalogue.
    """
    setting = config.relevance[0] if config.relevance else runs[0].config.relevance if runs else None
    return ExportArguments(
        name=name,
        options=("--catalog", str(catalog.folder), *_relevance(setting, catalog), *_code(encoder)),
        whitens=_whitens(encoder),
    )


def run_arguments(run: Run, *, start: bool, catalog: Catalog, options: tuple[str, ...] = ()) -> ExportArguments:
    """Arguments for a run, or for the encoder that it began with.

    Args:
        run: The run.
        start: Whether it is its initial encoder.
        catalog: The compared catalogue.
        options: More arguments.
    """
    encoder = run.config.encoder
    own = Path(run.config.catalog).expanduser().resolve() == catalog.folder.resolve()
    return ExportArguments(
        name=f"{START_PREFIX if start else ''}{run.argument}",
        options=(*(() if own else ("--catalog", str(catalog.folder))), *options, *_code(encoder)),
        whitens=_whitens(encoder),
    )


def _code(encoder: EncoderConfig) -> tuple[str, ...]:
    return ("--allow-code",) if isinstance(encoder, NamedCode) else ()


def _whitens(encoder: EncoderConfig) -> bool:
    return "whitening" in type(encoder).model_fields and encoder.kind != "clip"


def _relevance(setting: RelevanceSetting | None, catalog: Catalog) -> tuple[str, ...]:
    """The override for a relevance that export would not take by itself."""
    usual = "label" if filled_columns(catalog.rows) == ["label"] else "product"
    if setting is None or setting == usual:
        return ()
    plain = setting if isinstance(setting, str | list) else setting.model_dump(mode="json", exclude_defaults=True)
    return ("--set", f"relevance={plain if isinstance(plain, str) else json.dumps(plain)}")
