"""The box at the top of the page: the recommendation, and what it rests on by each idea of relevance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from simtrain.comparison.report.encoder_selection import LONGEST_NAME, EncoderSelection
from simtrain.comparison.report.verdicts import VERDICT_STYLES, called
from simtrain.comparison.report.wording import page_text, sentence_text
from simtrain.comparison.result import EncoderFigures
from simtrain.comparison.verdict_families import ALTERED_COPIES
from simtrain.phrases import NOTHING, percent

_STYLES = {"take": "better", "not yet": "mixed", "keep": "open"}
_LONGEST = 700


@dataclass(frozen=True, kw_only=True)
class SummaryRow:
    """How a run and the untouched encoder compare by one idea of relevance, or in altered images."""

    idea: str
    run: str
    untouched: str
    word: str
    style: str
    """CSS class of the word."""


@dataclass(frozen=True, kw_only=True)
class RecommendationBox:
    """The recommendation as the page shows it.

    Attributes:
        style: CSS class.
        sentences: The answer, then its reasons.
        command: The next command; empty: there is none.
        run: Name of the run of the summary.
        rows: The summary; empty without a run, or where the run is the baseline.
    """

    style: str
    sentences: tuple[str, ...]
    command: str
    run: str
    rows: tuple[SummaryRow, ...]


def recommendation_box(selection: EncoderSelection) -> RecommendationBox | None:
    """The recommendation with its summary; None: there is no recommendation."""
    found = selection.report.recommendation
    if found is None:
        return None
    run = None if found.run is None else selection.report.encoder(found.run)
    return RecommendationBox(
        style=_STYLES[found.answer],
        sentences=tuple(sentence_text(one, to=_LONGEST) for one in (found.sentence, *found.reasons)),
        command="" if found.command is None else page_text(found.command, to=_LONGEST),
        run="" if run is None else page_text(run.name, to=LONGEST_NAME),
        rows=() if run is None or run.name == selection.report.baseline else tuple(_rows(selection, run)),
    )


def _rows(selection: EncoderSelection, run: EncoderFigures) -> Iterable[SummaryRow]:
    report = selection.report
    for relevance in report.relevance:
        baseline, verdict = report.encoder(report.baselines[relevance]), run.relevances[relevance].verdict
        style, mark = ("", "") if verdict is None else VERDICT_STYLES[verdict.word]
        yield SummaryRow(
            idea=f"{report.metric}, {page_text(report.relevance_words[relevance], to=LONGEST_NAME)}",
            run=percent(run.relevances[relevance].metrics[report.metric].mean),
            untouched=f"{percent(baseline.relevances[relevance].metrics[report.metric].mean)} "
            f"({called(selection, baseline.name)})",
            word=NOTHING if verdict is None else f"{mark} {verdict.word}",
            style=style,
        )
    baseline, verdict = report.encoder(report.baseline), run.relevances[report.relevance[0]].verdict
    if run.robustness and baseline.robustness:
        against = [] if verdict is None else [one for one in verdict.contradictions if one.relevance == ALTERED_COPIES]
        style, mark = VERDICT_STYLES[against[0].word] if against else ("", "")
        yield SummaryRow(
            idea="altered images that find their original",
            run=percent(_mean_share(run)),
            untouched=f"{percent(_mean_share(baseline))} ({called(selection, baseline.name)})",
            word=f"{mark} {against[0].word}" if against else "no verdict against it",
            style=style,
        )


def _mean_share(encoder: EncoderFigures) -> float:
    return float(np.mean([one.share.mean for one in encoder.robustness]))
