"""Settings of table sources."""

from pathlib import Path
from typing import Any

from simtrain.catalog.sources.csv_dialect import Dialect
from simtrain.catalog.sources.table_source import TableSettings
from simtrain.config import ColumnsConfig


def table_settings(
    columns: dict[str, Any] | None = None,
    *,
    root: Path | None = None,
    pattern: str | None = None,
    dialect: Dialect | None = None,
    follow_links: bool = True,
    anywhere: bool = False,
) -> TableSettings:
    return TableSettings(
        columns=ColumnsConfig(**(columns or {})),
        root=root,
        product_pattern=pattern,
        dialect=dialect or Dialect(encoding=None, separator=None),
        follow_links=follow_links,
        anywhere=anywhere,
    )
