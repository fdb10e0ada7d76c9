"""`simtrain.init`: a commented configuration for a catalogue and this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from simtrain.api.inputs import CatalogSource, catalog_folder
from simtrain.config.overrides import Overrides, override_lines

if TYPE_CHECKING:
    from simtrain.commands.init import WrittenConfig


def init(
    catalog: CatalogSource,
    out: str | Path | None = None,
    *,
    route: Literal["products", "labels", "captions", "pictures"] | None = None,
    overrides: Overrides = (),
    force: bool = False,
) -> WrittenConfig:
    """Look at a catalogue and this machine, and write a configuration with the reason for each choice.

    Args:
        catalog: Catalogue of `prepare`.
        out: The YAML file; None: the catalogue's name in the working folder, such as `shop.yaml` for `data/shop`.
        route: What to train by: `products`, `labels`, `captions`, or the `pictures` alone; None: the most that the
            catalogue knows.
        overrides: Settings that replace the chosen ones, such as `{"trainer.epochs": 3}`.
        force: Whether a file that is there is replaced.

    Returns:
        What was written; `print` says which route it took and why.

    Raises:
        SimtrainError: for anything that the user can mend; nothing is written then.
    """
    from simtrain.commands.init import init

    path = None if out is None else Path(out).expanduser()
    return init(catalog_folder(catalog), out=path, route=route, overrides=override_lines(overrides), force=force)
