"""Methods section of the page: data, protocol, statistics, records of the encoders."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from simtrain.comparison.report.encoder_selection import LONGEST_NAME, EncoderSelection
from simtrain.comparison.report.wording import page_text, sentence_text
from simtrain.config.metrics import METRIC_WORDS
from simtrain.phrases import counted

_LONGEST_TEXT = 600
_LONGEST_RECORD = 3000


@dataclass(frozen=True, kw_only=True)
class DescribedTerm:
    """A heading and its sentences."""

    term: str
    sentences: tuple[str, ...]


def verdict_basis(selection: EncoderSelection) -> tuple[DescribedTerm, ...]:
    """The basis of the verdict, in short: queries, products, gallery, smallest detectable difference."""
    report = selection.report
    relevance = sentence_text(report.relevance_words[selection.relevance], to=_LONGEST_TEXT)
    baseline = sentence_text(report.baseline, to=LONGEST_NAME)
    queries = f"{counted(report.queries, 'image')} (queries) of {counted(report.products, 'product')}"
    return (
        DescribedTerm(
            term="Queries",
            sentences=(f"{queries} search a gallery of {report.gallery:,} images, {_evaluated_split(selection)}.",),
        ),
        DescribedTerm(term="Relevant", sentences=(f"{_relevant_images(relevance)}.", *_other_relevances(selection))),
        DescribedTerm(
            term="Main metric",
            sentences=(f"{report.metric}: {METRIC_WORDS.get(report.metric, 'larger is better')}.",),
        ),
        DescribedTerm(
            term="Baseline",
            sentences=(
                f"{baseline}: {sentence_text(report.baseline_reason, to=_LONGEST_TEXT)}.",
                *_other_baselines(selection),
            ),
        ),
        DescribedTerm(
            term="Detectable differences",
            sentences=tuple(sentence_text(words, to=_LONGEST_TEXT) for words in report.resolvable_words),
        ),
        *_test_readings(selection),
    )


def method_details(selection: EncoderSelection) -> tuple[DescribedTerm, ...]:
    """Details of data, protocol and statistics."""
    report = selection.report
    percentage = f"{100 * report.confidence:g} %"
    seeds = [f"{sentence_text(one.name, to=LONGEST_NAME)}: {one.seeds}" for one in selection.runs if one.seeds > 1]
    lone = [
        f"{of.lone_queries:,} by {sentence_text(relevance, to=_LONGEST_TEXT)}"
        for relevance, of in report.encoder(report.baseline).relevances.items()
        if of.lone_queries
    ]
    points = (
        ("Catalogue", (page_text(report.catalog, to=_LONGEST_TEXT), _record(report.data))),
        ("Image source", (sentence_text(report.images, to=_LONGEST_TEXT),)),
        ("Intervals", (
            f"{percentage} bootstrap intervals, {report.draws:,} draws of products with all their queries. Intervals "
            "of two encoders may overlap although the verdict is better or worse.",
        )),
        ("Verdicts", (
            f"Paired permutation tests over products, {report.draws:,} permutations each, corrected together (Holm). "
            f"If no encoder differs from the baseline, {percentage} of such comparisons report no difference.",
        )),
        ("Seeds", (
            f"Mean over trainings with different seeds: {', '.join(seeds)}." if seeds
            else "Each run is one training; another seed gives other results.",
        ) if selection.runs else ()),
        ("Left out", (
            *((f"Queries without a relevant image: {', '.join(lone)}.",) if lone else ()),
            *((f"{report.copies:,} queries have an exact copy in the gallery; copies are left out.",)
              if report.copies else ()),
        )),
        ("Graded", (
            "ndcg_at_k has more than one level of relevance, the highest first: same "
            f"{sentence_text(', then '.join(report.levels), to=_LONGEST_TEXT)}.",
        ) if len(report.levels) > 1 else ()),
        ("Made with", (_record(report.made_with),)),
    )  # fmt: skip
    return tuple(
        DescribedTerm(term=term, sentences=tuple(one for one in sentences if one))
        for term, sentences in points
        if any(sentences)
    )


def encoder_records(selection: EncoderSelection) -> tuple[tuple[str, str], ...]:
    """Each encoder's name and record."""
    return tuple(
        (page_text(one.name, to=LONGEST_NAME), _record(one.details)) for one in selection.ranked if one.details
    )


def missing_sections(selection: EncoderSelection) -> tuple[str, ...]:
    """Sections that are missing from the page, and why."""
    report, encoders = selection.report, selection.ranked
    pictures = report.pictures
    reasons = (
        (report.category is None or not report.categories, "Metrics by category and confused categories: the catalogue "
         "has no category column; name one with --set category=COLUMN."),
        (not any(one.thresholds for one in encoders), "Similarity thresholds: the validation split has no queries."),
        (not any(len(of.rows) for of in pictures.maps), "Embedding maps: turned off, or too few images."),
        (not pictures.queries, "Random queries: turned off (pictures.queries is 0)."),
        (pictures.suspects is None, "Suspected label errors: the catalogue has no labels."),
        (not any(one.robustness for one in encoders), "Robustness to altered images: turned off (robustness_images is "
         "0)."),
        (not any(one.text for one in encoders), "Text retrieval: no encoder has a text tower, or the catalogue has no "
         "texts."),
        (not any(one.cost for one in encoders), "Cost: not measured."),
    )  # fmt: skip
    return tuple(words for absent, words in reasons if absent)


def _evaluated_split(selection: EncoderSelection) -> str:
    folds = selection.report.folds
    if folds:
        return f"test splits of folds {', '.join(str(fold) for fold in folds)}"
    return f"split {sentence_text(selection.report.split, to=_LONGEST_TEXT)}"


def _relevant_images(definition: str) -> str:
    """The start of a sentence: `Images of the same product`; of judged pairs the definition itself."""
    return f"Images of the {definition}" if definition.startswith("same ") else definition[0].upper() + definition[1:]


def _other_relevances(selection: EncoderSelection) -> Iterable[str]:
    others = [
        sentence_text(selection.report.relevance_words[one], to=_LONGEST_TEXT) for one in selection.report.relevance[1:]
    ]
    if others:
        yield f"Further verdicts: {', '.join(others)}."


def _other_baselines(selection: EncoderSelection) -> Iterable[str]:
    for relevance, name in selection.report.baselines.items():
        if name != selection.report.baseline:
            yield (
                f"By {sentence_text(relevance, to=_LONGEST_TEXT)} the baseline is "
                f"{sentence_text(name, to=LONGEST_NAME)}, the best encoder there."
            )


def _test_readings(selection: EncoderSelection) -> Iterable[DescribedTerm]:
    """Number of evaluations on the test split."""
    read = selection.report.test_readings
    if read:
        sentences = ", ".join(
            f"{sentence_text(run, to=LONGEST_NAME)} {_how_often(times)}" for run, times in sorted(read.items())
        )
        warning = (
            " Do not choose a run by its test metrics: they are then too good. Choose on val."
            if max(read.values()) > 1
            else ""
        )
        yield DescribedTerm(term="Test evaluations", sentences=(f"{sentences}, this time included.{warning}",))


def _how_often(times: int) -> str:
    return {1: "once", 2: "twice"}.get(times, f"{times} times")


def _record(record: Mapping[str, Any]) -> str:
    return page_text("; ".join(_record_entries(record, of="")), to=_LONGEST_RECORD)


def _record_entries(record: Mapping[str, Any], *, of: str) -> Iterable[str]:
    for name, value in sorted(record.items()):
        if isinstance(value, Mapping):
            yield from _record_entries(value, of=f"{of}{name}.")
        elif value is not None:
            sentences = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            yield f"{of}{name} {sentences}"
