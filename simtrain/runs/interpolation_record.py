"""Files that `interpolate` writes to the run folder: `interpolation.json`, plot, BatchNorm statistics."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from simtrain.errors import CheckpointError, first_line
from simtrain.failures import damage_told
from simtrain.files import json_bytes, remove_leftovers, sha256_of_bytes, sha256_of_file, write_together, write_whole
from simtrain.locks import written_by_one
from simtrain.training.file_names import BEST

INTERPOLATION_FILE = "interpolation.json"
PICTURE_FILE = "interpolation.png"
_STATISTICS_FILES = "interpolation_*.safetensors"
_TUNED_ALONE = 1.0


def write_interpolation(
    run_folder: Path,
    content: Mapping[str, Any],
    *,
    checkpoint: str,
    picture: bytes,
    statistics: Mapping[float, Mapping[str, Tensor]],
) -> None:
    """Write a sweep's figures, plot and BatchNorm statistics to the run folder; those of an older sweep are replaced.

    The figures name the statistics, whose file has a name of its own and is written first: if the process is killed
    before the figures are there, the older sweep's files remain valid.

    Args:
        run_folder: The run's folder.
        content: The figures as plain values, with the chosen `alpha` among them.
        checkpoint: SHA-256 of the `best.ckpt` that they belong to.
        picture: The plot as PNG.
        statistics: Alpha -> name -> tensor; empty where BatchNorm did not learn.

    Raises:
        CheckpointError: if the folder cannot be written; it is then as it was.
    """
    written = save({_key(alpha, name): value for alpha, named in statistics.items() for name, value in named.items()})
    file = f"interpolation_{sha256_of_bytes(written)[:16]}.safetensors" if statistics else None
    record = {**content, "checkpoint": {"file": BEST, "sha256": checkpoint}, "statistics": file}
    contents = {run_folder / INTERPOLATION_FILE: json_bytes(record), run_folder / PICTURE_FILE: picture}
    with written_by_one(run_folder / INTERPOLATION_FILE, error=CheckpointError):
        try:
            if file is not None:
                write_whole(run_folder / file, written, error=CheckpointError)
            write_together(contents, error=CheckpointError)
        finally:
            _remove_others(run_folder)


def chosen_alpha(run_folder: Path) -> float:
    """The share of the tuned weights that `interpolate` chose for a run; 1 where it was never run.

    Raises:
        CheckpointError: if it was run for another `best.ckpt` than is there now.
    """
    record = _record(run_folder)
    return _TUNED_ALONE if record is None else float(record["alpha"])


def mix_is_outdated(run_folder: Path) -> bool:
    """Whether `interpolate` was run for another `best.ckpt` than is there now, as before a run went on."""
    try:
        _record(run_folder)
    except CheckpointError:
        return True
    return False


def stored_statistics(run_folder: Path, *, alpha: float) -> dict[str, Tensor]:
    """The BatchNorm statistics that `interpolate` estimated for one of its mixes.

    Raises:
        CheckpointError: if it was not run for this `best.ckpt`, or not with this alpha.
    """
    record = _record(run_folder)
    if record is None or record["statistics"] is None:
        raise CheckpointError(
            f"{run_folder}: this run trained BatchNorm, so a mix needs its own statistics; run simtrain "
            f"interpolate {run_folder}, which estimates them, or take --alpha 0 or 1"
        )
    path = run_folder / str(record["statistics"])
    try:
        kept = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read: {first_line(error)}; {_remedy(run_folder)}") from None
    prefix = _key(alpha, "")
    statistics = {key.removeprefix(prefix): value for key, value in kept.items() if key.startswith(prefix)}
    if not statistics:
        with damage_told(path, error=CheckpointError, advice=f"; {_remedy(run_folder)}"):
            known = ", ".join(f"{value:g}" for value in sorted({float(key.partition("/")[0]) for key in kept}))
        raise CheckpointError(
            f"{run_folder}: this run trained BatchNorm, and alpha {alpha:g} was not tried; take one of 0, {known}, "
            f"1, or run simtrain interpolate {run_folder} with other --steps"
        )
    return statistics


def _record(run_folder: Path) -> dict[str, Any] | None:
    """What `interpolation.json` says, if it is of the checkpoint that is there."""
    path = run_folder / INTERPOLATION_FILE
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        alpha, sha256, _ = float(record["alpha"]), record["checkpoint"]["sha256"], record["statistics"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        raise CheckpointError(f"{path}: not a file of simtrain interpolate; {_remedy(run_folder)}") from None
    if not 0 <= alpha <= 1:
        raise CheckpointError(f"{path}: alpha is {alpha:g}; allowed: 0 to 1; {_remedy(run_folder)}")
    if not (run_folder / BEST).is_file():
        raise CheckpointError(f"{run_folder / BEST}: no such checkpoint")
    if sha256_of_file(run_folder / BEST) != sha256:
        raise CheckpointError(f"{path}: belongs to another {BEST} than the present one; {_remedy(run_folder)}")
    return dict(record)


def _remedy(run_folder: Path) -> str:
    return f"run simtrain interpolate {run_folder} again, or use the fine-tuned weights alone with --alpha 1"


def _remove_others(run_folder: Path) -> None:
    """Statistics that `interpolation.json` does not name: of an older sweep, or of one that was killed."""
    try:
        named = json.loads((run_folder / INTERPOLATION_FILE).read_text(encoding="utf-8"))["statistics"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        named = None
    for path in run_folder.glob(_STATISTICS_FILES):
        remove_leftovers(path)
        if path.name != named:
            path.unlink(missing_ok=True)


def _key(alpha: float, name: str) -> str:
    return f"{alpha:g}/{name}"
