"""`simtrain.embed`: embeddings of a collection of images as Parquet shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from simtrain.api.inputs import or_terminal
from simtrain.config import load_prepare_config
from simtrain.config.overrides import Overrides, override_lines
from simtrain.console import Console
from simtrain.own_code import code_allowed

if TYPE_CHECKING:
    from simtrain.commands.embed import EmbedReport


def embed(
    bundle: str | Path,
    source: str | Path,
    out: str | Path,
    *,
    precision: Literal["float16", "float32"] = "float32",
    shard_size: int = 10_000,
    processes: int | None = None,
    engine: Literal["local", "ray"] = "local",
    overrides: Overrides = (),
    allow_code: bool = False,
    console: Console | None = None,
) -> EmbedReport:
    """Embed every image of a collection with the encoder of a bundle, as `simtrain embed` does.

    `out` gets `part-00000.parquet` and so on with the columns `id`, `path`, `embedding` (D numbers of a vector of unit
    length), `sha256` (of the file's content) and `fingerprint` (of the embedding space), `_left_out.csv` where images
    have no embedding, and `_embeddings.json` once all is there. A call that was ended goes on where it was; of a
    collection that has changed, the shards are made again whose files have changed.

    Args:
        bundle: Folder of the bundle.
        source: A catalogue of `prepare`, or what `prepare` takes: a folder of images, a table, Parquet files with the
            images inside.
        out: Folder for the shards; made if missing.
        precision: Of the numbers that are kept.
        shard_size: Images of a shard, 1 to 1,000,000.
        processes: Processes on this machine, 1 or more; None: one for each GPU, or else for each core.
        engine: `local`, or `ray`: actors on the Ray cluster that `RAY_ADDRESS` names, or on this machine.
        overrides: Settings of `prepare` that say how the source is read, such as `{"columns.path": "file"}`.
        allow_code: Whether code that the bundle names (`kind: python`) may be imported.
        console: Shows progress; None: the terminal.

    Raises:
        SimtrainError: for anything that the user can mend; finished shards stay.
        ValueError: for a number or a word that is not allowed.
    """
    if precision not in ("float16", "float32"):
        raise ValueError(f"precision is {precision!r}; allowed: float16, float32")
    if engine not in ("local", "ray"):
        raise ValueError(f"engine is {engine!r}; allowed: local, ray")
    if not 1 <= shard_size <= 1_000_000:
        raise ValueError(f"shard_size is {shard_size}; allowed: 1 to 1000000")
    if processes is not None and processes < 1:
        raise ValueError(f"processes is {processes}; allowed: 1 or more, or None")
    config = load_prepare_config({}, override_lines(overrides))
    from simtrain.commands.embed import EmbedSettings, embed

    settings = EmbedSettings(precision=precision, shard_size=shard_size, processes=processes, engine=engine)
    with code_allowed(allow_code):
        return embed(
            Path(bundle).expanduser(),
            str(source),
            out=Path(out),
            config=config,
            settings=settings,
            console=or_terminal(console),
        )
