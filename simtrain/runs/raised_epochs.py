"""More epochs for a run that is resumed, and what its learning rate does then.

The rate of a step depends on the step and on the length of the run alone (`training.optim.warmup_cosine`). A run that
is made longer follows, from the step that it is at, the schedule of its new length: its rate jumps up there. That is
neither what it would have been without, nor a run of the new length from its beginning.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simtrain.config import RunConfig, dump_yaml, parse_run_config, read_yaml
from simtrain.errors import CheckpointError
from simtrain.files import write_whole
from simtrain.phrases import percent
from simtrain.runs.run import CONFIG_FILE
from simtrain.training.epoch_table import read_metrics
from simtrain.training.file_names import LAST, METRICS_FILE
from simtrain.training.optim import warmup_cosine

RAISED = "epochs_raised"
"""In a run's record: `{"from": …, "to": …, "after": …}` for each time, in epochs."""

_KEY = "trainer.epochs:"
_PARTS = 1000  # of an epoch, for the share that is told


def without_raised_epochs(changed: Sequence[str], before: RunConfig, after: RunConfig) -> list[str]:
    """The changed settings of a resumed run but for more epochs, which are allowed.

    Args:
        changed: Lines of `config.differences`.
        before: Configuration that it was trained with.
        after: Configuration that it is resumed with.
    """
    raised = after.trainer.epochs > before.trainer.epochs and after.trainer.max_steps is None
    return [line for line in changed if not (raised and line.startswith(_KEY))]


def raised_epochs(folder: Path, before: RunConfig, after: RunConfig) -> dict[str, int] | None:
    """How many epochs more a run is given, for its record; None: none.

    Raises:
        CheckpointError: if it has no checkpoint to go on from.
    """
    old, new = before.trainer.epochs, after.trainer.epochs
    if new == old:
        return None
    if not (folder / LAST).is_file():
        raise CheckpointError(
            f"{folder}: {LAST} is not there any more, so that it cannot go on; start a new run from its best weights: "
            f"simtrain fit CONFIG.yaml --set init_from={folder} --set run=NAME"
        )
    done = max((int(row["epoch"]) for row in read_metrics(folder / METRICS_FILE)), default=0)
    return {"from": old, "to": new, "after": done}


def raised_line(raised: dict[str, int], config: RunConfig) -> str:
    """What the learning rate does, in a sentence for the user."""
    old, new, done = raised["from"], raised["to"], raised["after"]
    was, now = (percent(_share(done, epochs=epochs, config=config)) for epochs in (old, new))
    return (
        f"trainer.epochs: {old} -> {new}: after epoch {done} the learning rate goes from {was} % to {now} % of its "
        f"peak, where a run of {new} epochs has it, and falls to 0 at the new end; the epochs so far were trained by "
        "the shorter schedule, so that this is not a run of that length from its beginning"
    )


def write_raised(folder: Path, record: dict[str, Any], epochs: int) -> None:
    """Have the stored configuration of a run that was made longer say its number of epochs, and nothing else anew.

    Raises:
        CheckpointError: if it cannot be written.
    """
    if not was_raised(record):
        return
    path = folder / CONFIG_FILE
    stored = parse_run_config(read_yaml(path), where=str(path))
    longer = stored.model_copy(update={"trainer": stored.trainer.model_copy(update={"epochs": epochs})})
    write_whole(path, dump_yaml(longer).encode(), error=CheckpointError)


def was_raised(record: dict[str, Any]) -> bool:
    """Whether a run has been given more epochs than it began with."""
    return bool(record.get(RAISED))


def _share(done: int, *, epochs: int, config: RunConfig) -> float:
    """Share of the peak rate after so many epochs of a run of `epochs`."""
    steps = epochs * _PARTS
    return warmup_cosine(done * _PARTS, steps=steps, warmup=round(config.optimizer.warmup_fraction * steps))
