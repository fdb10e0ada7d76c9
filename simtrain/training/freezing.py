"""Freezing of parameters and BatchNorm statistics."""

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from simtrain.errors import ConfigError, nearest

_TOLD_NAMES = 6


def freeze_matching(encoder: nn.Module, patterns: Sequence[str]) -> set[str]:
    """Freeze the parameters whose name fits one of the patterns, for good.

    Args:
        encoder: Encoder whose matching parameters lose their gradient.
        patterns: Names of parameters, `*` for any part of them: `network.layer1.*`.

    Returns:
        Names of all of the encoder's parameters that never learn: those, and those that had no gradient before (the
        weights that low-rank factors stand beside).

    Raises:
        ConfigError: for a pattern that no parameter fits, or if nothing of the encoder is left to learn.
    """
    names = [name for name, _ in encoder.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            problem = f"no parameter of the encoder matches '{pattern}'{_hint(pattern, names)}"
            raise ConfigError(problem, argument="freeze")
    fitting = {name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)}
    before = {name for name, parameter in encoder.named_parameters() if not parameter.requires_grad}
    if fitting and len(fitting | before) == len(names):
        problem = "every layer of the encoder is frozen; freeze fewer"
        raise ConfigError(problem, argument="freeze")
    set_trainable((parameter for name, parameter in encoder.named_parameters() if name in fitting), trainable=False)
    return fitting | before


def hold_frozen_norms(encoder: nn.Module, *, frozen: Collection[str]) -> None:
    """Put every BatchNorm inside a part whose parameters are all frozen into evaluation mode.

    Args:
        encoder: Encoder that `freeze_matching` was called with.
        frozen: Names that `freeze_matching` returned; not those without gradient now, which head-only epochs change.
    """
    kept = set(frozen)
    for path, part in encoder.named_modules():
        names = [f"{path}.{name}" if path else name for name, _ in part.named_parameters()]
        if names and kept.issuperset(names):
            hold_batch_norm(part)


def hold_batch_norm(module: nn.Module) -> None:
    """Put every BatchNorm into evaluation mode: it uses its running statistics and leaves them alone."""
    for part in module.modules():
        if isinstance(part, _BatchNorm):
            part.eval()


def set_trainable(parameters: Iterable[nn.Parameter], *, trainable: bool) -> None:
    """Let gradients reach these parameters, or not; a parameter without gradient is not moved, nor decayed."""
    for parameter in parameters:
        parameter.requires_grad_(trainable)
        if not trainable:
            parameter.grad = None


def _hint(pattern: str, names: Sequence[str]) -> str:
    parts = dict.fromkeys(
        ".".join(pieces[:end]) + ".*" for pieces in (name.split(".") for name in names) for end in range(1, len(pieces))
    )
    if hint := nearest(pattern, [*parts, *names]):
        return hint
    some = list(dict.fromkeys(".".join(name.split(".")[:2]) for name in names))
    return f"; it has {', '.join(some[:_TOLD_NAMES])}{', …' if len(some) > _TOLD_NAMES else ''}"
