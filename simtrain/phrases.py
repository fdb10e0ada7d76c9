"""Counts, names, percentages and intervals as words of a message."""

import math
from collections.abc import Callable, Sequence

NOTHING = "\N{EN DASH}"
"""In the place of a number that is not known."""


def counted(number: float, one: str, many: str | None = None) -> str:
    """A count with its noun: `1 image`, `2 images`, `0.5 points`.

    Args:
        number: The count; a whole number as it is, another one with up to 6 significant digits.
        one: The noun for 1.
        many: The noun for all else; None: `one` with an `s` at the end.
    """
    shown = f"{number:g}" if isinstance(number, float) else str(number)
    return f"{shown} {one if number == 1 else many or one + 's'}"


def quoted(name: str | None) -> str:
    """The name in quotes; `none` for null."""
    return "none" if name is None else f"'{name}'"


def joined(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def listed(names: Sequence[str | None], *, at_most: int = 3) -> str:
    """`'a', 'b' and 4 more`: the first names in quotes and how many others there are."""
    shown = [quoted(name) for name in names[:at_most]]
    others = len(names) - len(shown)
    return joined([*shown, f"{others} more"] if others else shown)


def shortened(text: str, *, to: int) -> str:
    """At most `to` characters, the last an ellipsis where something was cut; white space becomes single spaces."""
    flat = " ".join(text.split())
    return flat if len(flat) <= to else flat[: to - 1].rstrip() + "…"


def percent(share: float | None) -> str:
    """A share in percent with one decimal: 0.7134 -> `71.3`; a dash for None and NaN; never -0."""
    if share is None or math.isnan(share):
        return NOTHING
    return f"{round(100.0 * share, 1) + 0.0:.1f}"


def signed_percent(difference: float | None) -> str:
    """A difference of shares in points (hundredths): 0.061 -> `+6.1`, 0 -> `0.0`; a dash for None and NaN."""
    return _signed(percent(difference))


def fine_percent(share: float) -> str:
    """A share in percent with one decimal, or with two significant digits where that is more: 0.00012 -> `0.012`."""
    points = round(100.0 * share, 3) + 0.0
    return f"{points:.1f}" if points == 0 or abs(points) >= 0.95 else f"{points:.2g}"


def fine_signed_percent(difference: float) -> str:
    """`fine_percent` with a plus before what is above 0."""
    return _signed(fine_percent(difference))


def signed_points(points: float) -> str:
    """Points with a sign and one decimal: 6.1 -> `+6.1`, 0 and -0.01 -> `+0.0`."""
    return f"{round(points, 1) + 0.0:+.1f}"


def between(low: float, high: float, *, write: Callable[[float], str] = percent, unknown: str = "no interval") -> str:
    """The ends of an interval: 0.68 and 0.745 -> `68.0 to 74.5`.

    Args:
        low: The lower end.
        high: The upper end.
        write: Writes one end.
        unknown: Stands for an interval whose ends are NaN.
    """
    return unknown if math.isnan(low) or math.isnan(high) else f"{write(low)} to {write(high)}"


def significant(number: float | None, *, digits: int) -> str:
    """A number with so many significant digits and its thousands apart: `1,234`; a dash for None and NaN."""
    if number is None or math.isnan(number):
        return NOTHING
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    return f"{number:,.{decimals}f}"


def _signed(number: str) -> str:
    return number if number.startswith(("-", NOTHING)) or float(number) == 0 else f"+{number}"
