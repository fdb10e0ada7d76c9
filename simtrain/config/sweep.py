"""Search space of `simtrain sweep`: settings of a run, each with a range or with choices."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simtrain.config.key_tree import keys_of
from simtrain.config.loading import apply_overrides, parse_run_config
from simtrain.config.meant_keys import nearest_keys
from simtrain.config.run import RunConfig
from simtrain.config.value_words import written
from simtrain.config.yaml_text import parse_yaml, read_yaml
from simtrain.errors import ConfigError

_RANGE = re.compile(r"\s*([-+.\deE]+)\s*\.\.\s*([-+.\deE]+)\s*(:\s*log)?\s*")
_DIGITS = 4
_EXAMPLE = (
    "optimizer.learning_rate=1e-5..1e-3:log, data.batch_size=32..128, or augmentation.preset=affine,color_sensitive"
)


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers between two ends, both among them.

    Attributes:
        key: The setting's dotted name.
        low: Smallest value.
        high: Largest value, above `low`.
        log: Whether values are drawn evenly by their logarithm; `low` is above 0 then.
        whole: Whether they are whole numbers.
    """

    key: str
    low: float
    high: float
    log: bool
    whole: bool

    def override(self, value: float) -> str:
        """`key=value` as `--set` takes it, the value with four digits."""
        return f"{self.key}={value:d}" if isinstance(value, int) else f"{self.key}={value:.{_DIGITS}g}"

    def ends(self) -> list[str]:
        """The overrides whose values have to be allowed."""
        return [f"{self.key}={written(end)}" for end in (self._number(self.low), self._number(self.high))]

    def own(self, value: object) -> float | None:
        """A setting's value, if it lies within; None: it does not."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        return value if self.low <= value <= self.high else None

    def _number(self, value: float) -> float:
        return int(value) if self.whole else value

    def __str__(self) -> str:
        log = ", by its logarithm" if self.log else ""
        return f"{self.key}: {written(self._number(self.low))} to {written(self._number(self.high))}{log}"


@dataclass(frozen=True, kw_only=True)
class ValueList:
    """Values to choose among, as they are typed.

    Attributes:
        key: The setting's dotted name.
        values: Two or more.
    """

    key: str
    values: tuple[str, ...]

    def override(self, value: str) -> str:
        """`key=value` as `--set` takes it."""
        return f"{self.key}={value}"

    def ends(self) -> list[str]:
        """The overrides whose values have to be allowed."""
        return [self.override(value) for value in self.values]

    def own(self, value: object) -> str | None:
        """The one that is a setting's value; None: none is."""
        return next((typed for typed in self.values if typed == written(value) or _read(typed) == value), None)

    def __str__(self) -> str:
        return f"{self.key}: {' or '.join(self.values)}"


Dimension = Range | ValueList


def _read(typed: str) -> object:
    """What YAML makes of a value; a text that is no YAML stays."""
    try:
        return parse_yaml(typed)
    except ConfigError:
        return typed


def search_space(config: RunConfig, *, over: Sequence[str], file: Path | None) -> list[Dimension]:
    """The settings that a sweep tries, of a file and of `--over`; without both, those that suit the objective.

    Args:
        config: The configuration that the sweep begins with.
        over: `key=1e-5..1e-3:log` or `key=a,b` texts; they replace those of the file.
        file: YAML file of `key: 1e-5..1e-3:log`, `key: [a, b]` or `key: {low: …, high: …, log: true}`; None: none.

    Raises:
        ConfigError: for a text that is neither, an unknown key, or a value that the configuration does not allow.
    """
    found = {} if file is None else {key: _of_yaml(key, value, where=file) for key, value in read_yaml(file).items()}
    for text in over:
        key, separator, values = (part.strip() for part in text.partition("="))
        if not separator or not key:
            raise ConfigError(f"--over {text}: expected a range or choices, such as {_EXAMPLE}")
        found[key] = _dimension(key, values, where=f"--over {text}")
    space = list(found.values()) or _usual_space(config)
    if not space:
        raise ConfigError(f"sweep: nothing to search over; name settings with --over, such as {_EXAMPLE}")
    tree = config.model_dump(mode="json")
    for dimension in space:
        _check(dimension, tree)
    return space


def value_of(tree: Mapping[str, Any], key: str) -> object:
    """The value of a dotted key in a configuration; None where a section is missing or null."""
    node: object = tree
    for name in key.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def _check(dimension: Dimension, tree: dict[str, Any]) -> None:
    """See that every end or choice is allowed by itself."""
    if dimension.key in ("run", "checkpoints", "catalog", "relevance", "fold", "seed") or dimension.key.startswith(
        ("evaluation.", "export.", "tracking.")
    ):
        raise ConfigError(f"--over {dimension.key}: is not searched over: it changes what is measured, or where")
    if not any(key.name == dimension.key for key in keys_of(RunConfig)):
        near = nearest_keys(RunConfig, dimension.key, most=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"--over {dimension.key}: unknown key{meant}")
    for override in dimension.ends():
        parse_run_config(apply_overrides(tree, [override]), where=f"--over {override}")


def _dimension(key: str, values: str, *, where: str) -> Dimension:
    found = _RANGE.fullmatch(values)
    if found is not None:
        try:
            low, high = float(found[1]), float(found[2])
        except ValueError:
            raise ConfigError(f"{where}: the ends of a range are numbers, such as {_EXAMPLE}") from None
        whole = all(re.fullmatch(r"[-+]?\d+", end) for end in (found[1], found[2]))
        return _range(key, low=low, high=high, log=found[3] is not None, whole=whole, where=where)
    return _choices(key, [value.strip() for value in re.split(r",(?![^\[{]*[\]}])", values)], where=where)


def _of_yaml(key: str, value: object, *, where: Path) -> Dimension:
    place = f"{where}: {key}"
    if isinstance(value, str):
        return _dimension(key, value, where=place)
    if isinstance(value, list):
        return _choices(key, [written(one) for one in value], where=place)
    if isinstance(value, dict) and {"low", "high"} <= set(value) <= {"low", "high", "log"}:
        low, high = value["low"], value["high"]
        if all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high)):
            whole = isinstance(low, int) and isinstance(high, int)
            log = value.get("log", False) is True
            return _range(key, low=float(low), high=float(high), log=log, whole=whole, where=place)
    raise ConfigError(f"{place}: expected 1e-5..1e-3:log, a list of values, or {{low: 1e-5, high: 1e-3, log: true}}")


def _range(key: str, *, low: float, high: float, log: bool, whole: bool, where: str) -> Range:
    if not (math.isfinite(low) and math.isfinite(high)) or low >= high:
        raise ConfigError(f"{where}: a range goes from a smaller to a larger number")
    if log and low <= 0:
        raise ConfigError(f"{where}: a range by the logarithm begins above 0")
    return Range(key=key, low=low, high=high, log=log, whole=whole)


def _choices(key: str, values: Sequence[str], *, where: str) -> ValueList:
    if len(values) < 2 or len(set(values)) < len(values) or not all(values):
        raise ConfigError(f"{where}: expected two or more different values, or a range such as 1e-5..1e-3:log")
    return ValueList(key=key, values=tuple(values))


def _usual_space(config: RunConfig) -> list[Dimension]:
    """Learning rate, temperature or margin, augmentation: what most often decides, by the objective."""
    rate, keys = config.optimizer.learning_rate, type(config.objective).model_fields
    space: list[Dimension] = [
        Range(
            key="optimizer.learning_rate", low=_rounded(rate / 10), high=min(1.0, _rounded(rate * 10)), log=True,
            whole=False,
        )
    ]  # fmt: skip
    if "temperature" in keys:
        space.append(Range(key="objective.temperature", low=0.03, high=0.5, log=True, whole=False))
    if "margin" in keys:
        space.append(Range(key="objective.margin", low=0.05, high=0.5, log=True, whole=False))
    sees_views = not config.trainer.freeze_encoder or config.trainer.frozen_views > 1
    if config.augmentation.transforms is None and sees_views:
        presets = dict.fromkeys((config.augmentation.preset, "affine", "color_sensitive", "color_invariant"))
        space.append(ValueList(key="augmentation.preset", values=tuple(presets)))
    return space


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
