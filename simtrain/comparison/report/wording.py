"""Formatting of numbers and user-supplied names on the page."""

from __future__ import annotations

import math
import unicodedata

from simtrain.catalog.inspection.wording import shortened
from simtrain.evaluation.statistics import Interval

METRIC_WORDS = {
    "map_at_r": "how many of the right images stand at the top of the list, the first places counting more (MAP@R)",
    "r_precision": "the share of right images among as many first places as there are right images (R-precision)",
    "mrr": "one divided by the place of the first right image (mean reciprocal rank)",
    "recall_at_1": "the share of searches whose first image is a right one",
    "recall_at_5": "the share of searches with a right image among the first 5",
    "recall_at_10": "the share of searches with a right image among the first 10",
    "precision_at_5": "the share of right images among the first 5",
    "precision_at_10": "the share of right images among the first 10",
}
"""Metric of `ComparisonReport.metric` -> its meaning in words."""

NOTHING = "\N{EN DASH}"
"""Text shown where there is no number."""

_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})


def percent(share: float | None) -> str:
    """0.7134 -> `71.3`; a dash for an unknown share."""
    if share is None or math.isnan(share):
        return NOTHING
    return f"{round(100.0 * share, 1) + 0.0:.1f}"


def points(difference: float) -> str:
    """Hundredths with their sign: 0.061 -> `+6.1`."""
    told = percent(difference)
    return told if told.startswith(("-", NOTHING)) or float(told) == 0 else f"+{told}"


def between(interval: Interval, *, signed: bool = False) -> str:
    """`68.0 to 74.5`, or a note that there is no interval."""
    if math.isnan(interval.low) or math.isnan(interval.high):
        return "no interval"
    write = points if signed else percent
    return f"{write(interval.low)} to {write(interval.high)}"


def figure(number: float | None, *, digits: int) -> str:
    """A number with its significant digits and thousands separators; a dash for an unknown one."""
    if number is None or math.isnan(number):
        return NOTHING
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    return f"{number:,.{decimals}f}"


def named(text: str, *, to: int) -> str:
    """A user's text for the page: at most `to` characters, without control characters and turns of the direction."""
    return shortened("".join(_harmless(character) for character in text), to=to)


def spoken(text: str, *, to: int) -> str:
    """A user's text within a sentence of ours, which keeps its direction whatever that of the text is."""
    return _apart(named(text, to=to))


def plot_text(text: str, *, to: int) -> str:
    """A user's text for a chart, which would take `<b>` for markup and `$b$` for a formula."""
    short = named(text, to=to)
    escaped = short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("$", "&#36;")
    return _apart(escaped)


def _apart(text: str) -> str:
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text):
        return f"\u2068{text}\u2069"
    return text


def _harmless(character: str) -> str:
    if character in _DIRECTIONS:
        return ""
    if unicodedata.category(character) in ("Cc", "Cs"):
        return " " if character.isspace() else "\N{REPLACEMENT CHARACTER}"
    return character
