"""Methods section of the page: data, protocol, statistics, records of the encoders."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from simtrain.comparison.report.encoder_selection import LONGEST_NAME, Cast
from simtrain.comparison.report.wording import named, spoken
from simtrain.config.metrics import METRIC_WORDS
from simtrain.phrases import counted

_TEXT = 600
_RECORD = 3000


@dataclass(frozen=True, kw_only=True)
class Point:
    """A heading and its sentences."""

    term: str
    told: tuple[str, ...]


def foundations(cast: Cast) -> tuple[Point, ...]:
    """The basis of the verdict, in short: queries, products, gallery, smallest detectable difference."""
    report = cast.report
    relevance = spoken(report.relevance_words[cast.relevance], to=_TEXT)
    baseline = spoken(report.baseline, to=LONGEST_NAME)
    queries = f"{counted(report.queries, 'image')} (queries) of {counted(report.products, 'product')}"
    return (
        Point(term="Searches", told=(f"{queries} search among {report.gallery:,} images, {_where(cast)}.",)),
        Point(term="Right", told=(f"is an image of the {relevance}.", *_other_relevances(cast))),
        Point(term="Measured by", told=(f"{report.metric}: {METRIC_WORDS.get(report.metric, 'larger is better')}.",)),
        Point(
            term="Judged against",
            told=(f"{baseline}: {spoken(report.baseline_reason, to=_TEXT)}.", *_other_baselines(cast)),
        ),
        Point(term="Can be told apart", told=tuple(spoken(words, to=_TEXT) for words in report.resolvable_words)),
        *_readings(cast),
    )


def method(cast: Cast) -> tuple[Point, ...]:
    """Details of data, protocol and statistics."""
    report = cast.report
    percentage = f"{100 * report.confidence:g} %"
    seeds = [f"{spoken(one.name, to=LONGEST_NAME)}: {one.seeds}" for one in cast.runs if one.seeds > 1]
    lone = [
        f"{of.lone_queries:,} by {spoken(relevance, to=_TEXT)}"
        for relevance, of in report.encoder(report.baseline).relevances.items()
        if of.lone_queries
    ]
    points = (
        ("Catalogue", (named(report.catalog, to=_TEXT), _record(report.data))),
        ("Pictures", (spoken(report.images, to=_TEXT),)),
        ("Intervals", (
            f"{percentage} intervals of {report.draws:,} bootstrap draws of products with all their searches. Of one "
            "encoder each; two intervals may overlap though the difference is shown.",
        )),
        ("Verdicts", (
            f"Paired permutation tests over products, {report.draws:,} draws each, corrected together (Holm): with no "
            f"true difference anywhere, all would be silent in {percentage} of such comparisons.",
        )),
        ("Seeds", (
            f"Mean over several trainings that differ in their seed alone: {', '.join(seeds)}." if seeds
            else "Each run is one training; another seed would give somewhat other figures.",
        ) if cast.runs else ()),
        ("Left out", (
            *((f"Searches with nothing to find: {', '.join(lone)}.",) if lone else ()),
            *((f"{report.copies:,} images with an exact copy in the gallery count once.",) if report.copies else ()),
        )),
        ("Graded", (
            "ndcg_at_k counts images the more, the more alike they are: same "
            f"{spoken(', then '.join(report.levels), to=_TEXT)}.",
        ) if len(report.levels) > 1 else ()),
        ("Made with", (_record(report.made_with),)),
    )  # fmt: skip
    return tuple(Point(term=term, told=tuple(one for one in told if one)) for term, told in points if any(told))


def records(cast: Cast) -> tuple[tuple[str, str], ...]:
    """Each encoder's name and record."""
    return tuple((named(one.name, to=LONGEST_NAME), _record(one.details)) for one in cast.ranked if one.details)


def missing(cast: Cast) -> tuple[str, ...]:
    """Sections that are missing from the page, and why."""
    report, everyone = cast.report, cast.ranked
    pictures = report.pictures
    reasons = (
        (report.category is None or not report.categories, "Figures by category, and categories that are mixed up: "
         "the catalogue has no column of categories."),
        (not any(one.thresholds for one in everyone), "Similarities of right and wrong pairs with thresholds: none "
         "were calibrated, as the validation split has nothing to calibrate on."),
        (not any(len(of.rows) for of in pictures.maps), "A map of the embeddings: none was asked for, or there are "
         "too few images."),
        (not pictures.queries, "Searches drawn at random: none were asked for."),
        (pictures.suspects is None, "Labels in doubt: the catalogue has no labels."),
        (not any(one.robustness for one in everyone), "Changed pictures: not looked at."),
        (not any(one.text for one in everyone), "Searches by words: no encoder here reads texts, or there are none."),
        (not any(one.cost for one in everyone), "Cost: not measured."),
    )  # fmt: skip
    return tuple(words for absent, words in reasons if absent)


def _where(cast: Cast) -> str:
    folds = cast.report.folds
    if folds:
        return f"test splits of the folds {', '.join(str(fold) for fold in folds)} together"
    return f"split {spoken(cast.report.split, to=_TEXT)}"


def _other_relevances(cast: Cast) -> Iterable[str]:
    others = [spoken(cast.report.relevance_words[one], to=_TEXT) for one in cast.report.relevance[1:]]
    if others:
        yield f"Judged as well: by {', by '.join(others)}."


def _other_baselines(cast: Cast) -> Iterable[str]:
    for relevance, name in cast.report.baselines.items():
        if name != cast.report.baseline:
            yield f"By {spoken(relevance, to=_TEXT)} against {spoken(name, to=LONGEST_NAME)}, which does best there."


def _readings(cast: Cast) -> Iterable[Point]:
    """Number of evaluations on the test split."""
    read = cast.report.test_readings
    if read:
        told = ", ".join(f"{spoken(run, to=LONGEST_NAME)} {_times(times)}" for run, times in sorted(read.items()))
        warning = (
            " Whoever changes a run after looking and looks again chooses by the test split: its figures flatter then."
            if max(read.values()) > 1
            else ""
        )
        yield Point(term="Test figures read", told=(f"{told}, this time included.{warning}",))


def _times(times: int) -> str:
    return {1: "once", 2: "twice"}.get(times, f"{times} times")


def _record(record: Mapping[str, Any]) -> str:
    return named("; ".join(_entries(record, of="")), to=_RECORD)


def _entries(record: Mapping[str, Any], *, of: str) -> Iterable[str]:
    for name, value in sorted(record.items()):
        if isinstance(value, Mapping):
            yield from _entries(value, of=f"{of}{name}.")
        elif value is not None:
            told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            yield f"{of}{name} {told}"
