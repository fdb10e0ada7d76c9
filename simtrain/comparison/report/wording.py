"""Formatting of numbers and user-supplied names on the page."""

from __future__ import annotations

import unicodedata

from simtrain.phrases import shortened

_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})


def page_text(text: str, *, to: int) -> str:
    """A user's text for the page: at most `to` characters, without control characters and turns of the direction."""
    return shortened("".join(_without_controls(character) for character in text), to=to)


def sentence_text(text: str, *, to: int) -> str:
    """A user's text within a sentence of ours, which keeps its direction whatever that of the text is."""
    return _isolated(page_text(text, to=to))


def plot_text(text: str, *, to: int) -> str:
    """A user's text for a chart, which would take `<b>` for markup and `$b$` for a formula."""
    short = page_text(text, to=to)
    escaped = short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("$", "&#36;")
    return _isolated(escaped)


def _isolated(text: str) -> str:
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text):
        return f"\u2068{text}\u2069"
    return text


def _without_controls(character: str) -> str:
    if character in _DIRECTIONS:
        return ""
    if unicodedata.category(character) in ("Cc", "Cs"):
        return " " if character.isspace() else "\N{REPLACEMENT CHARACTER}"
    return character
