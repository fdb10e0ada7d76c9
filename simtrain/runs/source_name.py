"""Names of what can be exported, judged before torch is imported."""

from simtrain.config import is_config_file
from simtrain.config.encoder_names import OFF_THE_SHELF, START_PREFIX, named_encoder, unwhitened_name
from simtrain.errors import CheckpointError, ConfigError, nearest
from simtrain.mistaken import mistaken
from simtrain.runs.run import CONFIG_FILE, DEFAULT_CHECKPOINTS, find_run


def check_source_name(name: str) -> None:
    """Refuse a name that stands for nothing.

    Args:
        name: A run's name below `checkpoints` or its folder; a name, `timm:MODEL[=WEIGHTS]` and so on, or a .yaml file,
            as comparisons take them; `start_of_RUN`, the encoder that a run began with. `_whitened` or `_half_whitened`
            may follow each.

    Raises:
        CheckpointError: with the nearest name that there is.
        ConfigError: for an encoder by a name that is not allowed, such as a model without its kind.
    """
    plain, _ = unwhitened_name(name)
    if any(find_run(one, checkpoints=DEFAULT_CHECKPOINTS) is not None for one in (name, plain)):
        return
    if plain.startswith(START_PREFIX):
        if find_run(plain.removeprefix(START_PREFIX), checkpoints=DEFAULT_CHECKPOINTS) is None:
            raise _unknown(name)
        return
    if is_config_file(plain):
        return
    try:
        named_encoder(plain)
    except ConfigError:
        if ":" in plain:
            raise
        raise _unknown(name) from None


def _unknown(name: str) -> CheckpointError:
    if (instead := mistaken(name, expected="run")) is not None:
        return CheckpointError(instead)
    runs = sorted(path.parent.name for path in DEFAULT_CHECKPOINTS.glob(f"*/{CONFIG_FILE}"))
    meant = nearest(name, [*runs, *OFF_THE_SHELF])
    known = f"; runs there: {', '.join(runs)}" if runs else ""
    return CheckpointError(
        f"{name}: no such run in {DEFAULT_CHECKPOINTS}{meant or known}\n"
        f"an untouched encoder is {', '.join(OFF_THE_SHELF)}, timm:MODEL[=WEIGHTS], resnet:MODEL[=WEIGHTS], "
        "clip:MODEL, python:MODULE:NAME, a .yaml or start_of_RUN; _whitened or _half_whitened may follow"
    )
