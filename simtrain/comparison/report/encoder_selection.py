"""Selection of the encoders that charts show: the baseline and the best runs of many encoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simtrain.comparison.report.palette import EncoderStyle, encoder_styles
from simtrain.comparison.report.wording import page_text
from simtrain.comparison.result import ComparisonReport, EncoderFigures

_MOST_RUNS = 5
_MOST_WITHOUT_RUNS = 4
LONGEST_NAME = 60
"""Characters of an encoder's name on the page."""


@dataclass(frozen=True, kw_only=True)
class LegendEntry:
    """Name, colour and symbol of an encoder on the page."""

    name: str
    """Name of the encoder, shortened."""
    colour: str
    """Colour on a light page, as `#rrggbb`."""
    glyph: str
    kind: str


@dataclass(frozen=True, kw_only=True, eq=False)
class EncoderSelection:
    """The encoders of a report: ranked, prominent, and chance.

    Attributes:
        report: The report.
        ranked: All encoders but chance by the main metric, best first.
        prominent: The baseline, then the best runs; without runs the best encoders.
        chance: Metrics of a random order; None: unknown.
        styles: Name of an encoder -> colour, symbol and dash.
    """

    report: ComparisonReport
    ranked: tuple[EncoderFigures, ...]
    prominent: tuple[EncoderFigures, ...]
    chance: EncoderFigures | None
    styles: dict[str, EncoderStyle]

    @property
    def relevance(self) -> str:
        """The main definition of relevance."""
        return self.report.relevance[0]

    @property
    def runs(self) -> tuple[EncoderFigures, ...]:
        """The runs, best first."""
        return tuple(one for one in self.ranked if one.kind == "run")

    def others(self, shown: Sequence[EncoderFigures]) -> tuple[EncoderFigures, ...]:
        """Encoders that are not shown, without chance, best first."""
        names = {one.name for one in shown}
        return tuple(one for one in self.ranked if one.name not in names)

    def legend_entry(self, name: str) -> LegendEntry:
        """Name, colour and symbol of an encoder of the report."""
        style, kind = self.styles[name], self.report.encoder(name).kind
        return LegendEntry(name=page_text(name, to=LONGEST_NAME), colour=style.colour, glyph=style.glyph, kind=kind)

    def main(self, encoder: EncoderFigures) -> float:
        """The mean of the main metric by the main relevance, 0..1."""
        return encoder.relevances[self.relevance].metrics[self.report.metric].mean


def select_encoders(report: ComparisonReport) -> EncoderSelection:
    """Sort the encoders of a report."""
    relevance, metric = report.relevance[0], report.metric
    ranked = sorted(
        (one for one in report.encoders if one.kind != "chance"),
        key=lambda one: -one.relevances[relevance].metrics[metric].mean,
    )
    runs = [one for one in ranked if one.kind == "run" and one.name != report.baseline]
    # In the order of the report, so that a run keeps its colour whatever it scores.
    of_runs = [one.name for one in report.encoders if one.kind == "run"]
    followers = runs[:_MOST_RUNS] or [one for one in ranked if one.name != report.baseline][:_MOST_WITHOUT_RUNS]
    return EncoderSelection(
        report=report,
        ranked=tuple(ranked),
        prominent=(report.encoder(report.baseline), *followers),
        chance=next((one for one in report.encoders if one.kind == "chance"), None),
        styles=encoder_styles(
            report.encoders, strong=of_runs or [one.name for one in followers], baseline=report.baseline
        ),
    )
