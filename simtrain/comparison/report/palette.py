"""Colours and symbols of encoders on the page, distinct for colour-blind readers and in print.

A chart is made with the light colours. In the dark its script replaces each by its partner, so that both are here.
Hues after Okabe & Ito 2008, https://jfly.uni-koeln.de/color/, darkened where they were too faint on white.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from simtrain.comparison.result import EncoderFigures

INK, SOFT, LINE, PANEL = "#1f2328", "#59636e", "#d1d9e0", "#f6f8fa"
RIGHT, WRONG = "#0072b2", "#d55e00"
OTHER = "#b0b7be"
"""Points of the categories that have no colour of their own."""

DARK = {
    INK: "#e6e8eb", SOFT: "#a3adb7", LINE: "#3b434b", PANEL: "#1c2024", OTHER: "#59626b",
    "#0072b2": "#5aaeea", "#d55e00": "#ff9153", "#009e73": "#35c79b", "#b0518d": "#e59ac6", "#b87a00": "#eebd4b",
    "#2b9fd6": "#9bdcff", "#7c8791": "#8b96a1", "#8a7f72": "#a1968a", "#72838f": "#8a9eab", "#807a90": "#9a94ab",
    "#6f8678": "#8ba294", "#99808a": "#b0989f",
}  # fmt: skip
"""Light colour -> its partner in the dark."""

STRONG = ("#0072b2", "#d55e00", "#009e73", "#b0518d", "#b87a00", "#2b9fd6")
"""Colours of runs (of the best encoders where there are no runs) and of categories."""
_MUTED = ("#7c8791", "#8a7f72", "#72838f", "#807a90", "#6f8678", "#99808a")

SYMBOLS = (
    ("circle", "●"), ("square", "■"), ("triangle-up", "▲"), ("triangle-down", "▼"), ("star", "★"), ("hexagon2", "⬢"),
)  # fmt: skip
"""Name in `drawing.js.j2`, and the character of about the same shape."""
_OPEN = (
    ("circle-open", "○"), ("square-open", "□"), ("triangle-up-open", "△"), ("triangle-down-open", "▽"),
    ("star-open", "☆"), ("hexagon2-open", "⬡"),
)  # fmt: skip
_DASHES = ("solid", "dash", "dot", "dashdot")
_DOTTED = (
    ("circle-open-dot", "◎"), ("square-open-dot", "▣"), ("triangle-up-open-dot", "◬"), ("triangle-down-open-dot", "⊽"),
    ("star-open-dot", "✪"), ("hexagon2-open-dot", "⌬"),
)  # fmt: skip
"""Of encoders that are whitened in part."""
_WHITENED = re.compile(r"(_half)?_whitened(_[\d.]+)?$")


@dataclass(frozen=True, kw_only=True)
class EncoderStyle:
    """Colour, symbol and dash of an encoder on the whole page."""

    colour: str
    """Colour on a light page; a key of `DARK`."""
    symbol: str
    """Its name in `drawing.js.j2`."""
    glyph: str
    """The symbol as a character."""
    dash: str
    """Its name in `drawing.js.j2`."""


def encoder_styles(
    encoders: Sequence[EncoderFigures], *, strong: Sequence[str], baseline: str
) -> dict[str, EncoderStyle]:
    """Styles by name: some in strong colours, another baseline in ink, the others muted, whitened ones hollow.

    Args:
        encoders: All encoders.
        strong: Names of the prominent encoders.
        baseline: Name of the baseline.
    """
    plain = [one.name for one in encoders if one.kind == "off_the_shelf"]
    return {one.name: _style(one, plain=plain, strong=strong, baseline=baseline) for one in encoders}


def _style(encoder: EncoderFigures, *, plain: Sequence[str], strong: Sequence[str], baseline: str) -> EncoderStyle:
    name = encoder.name
    if encoder.kind == "chance":
        return EncoderStyle(colour=OTHER, symbol="line-ns-open", glyph="|", dash="dot")
    if name in strong:
        place = strong.index(name)
        turn = place // len(STRONG)
        symbol, glyph = SYMBOLS[(place + turn) % len(SYMBOLS)]
        return EncoderStyle(
            colour=STRONG[place % len(STRONG)], symbol=symbol, glyph=glyph, dash=_DASHES[turn % len(_DASHES)]
        )
    if name == baseline:
        return EncoderStyle(colour=INK, symbol="diamond", glyph="◆", dash="solid")
    whitened = _WHITENED.search(name) if encoder.kind == "whitened" else None
    original = name if whitened is None else name[: whitened.start()]
    place = plain.index(original) if original in plain else len(plain)
    fully = whitened is not None and whitened[0] == "_whitened"
    symbols = SYMBOLS if whitened is None else _OPEN if fully else _DOTTED
    symbol, glyph = symbols[place % len(SYMBOLS)]
    dash = "solid" if whitened is None else "dot" if fully else "dashdot"
    return EncoderStyle(colour=_MUTED[place % len(_MUTED)], symbol=symbol, glyph=glyph, dash=dash)
