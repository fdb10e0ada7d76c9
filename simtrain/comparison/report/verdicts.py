"""Verdicts at the top of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from simtrain.comparison.report.encoder_selection import LONGEST_NAME, EncoderSelection, LegendEntry
from simtrain.comparison.report.wording import sentence_text
from simtrain.comparison.result import EncoderFigures
from simtrain.comparison.verdict import Verdict, VerdictWord
from simtrain.comparison.verdict_sentences import titled
from simtrain.phrases import between, counted, joined, percent

_MOST_VERDICTS = 4
_MOST_NAMES = 6
_SEARCHES = 100
_LONGEST_TITLE = 100
VERDICT_STYLES: dict[VerdictWord, tuple[str, str]] = {
    "better": ("better", "▲"),
    "mixed": ("mixed", "◆"),
    "not shown to be better": ("open", "■"),
    "worse": ("worse", "▼"),
}
"""Verdict -> CSS class, and a mark for readers who see no colours."""


@dataclass(frozen=True, kw_only=True)
class ShownVerdict:
    """A verdict as the page shows it."""

    encoder: LegendEntry
    word: VerdictWord
    style: str
    mark: str
    in_searches: str
    """The verdict as a number of searches out of 100; may be empty."""
    sentences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class VerdictGroup:
    """Verdicts by one definition of relevance."""

    relevance: str
    shown: tuple[ShownVerdict, ...]
    more: tuple[ShownVerdict, ...]


@dataclass(frozen=True, kw_only=True)
class VerdictSection:
    """The first section of the page.

    Attributes:
        opening: Sentences before the verdicts.
        of_runs: Verdicts of runs for each definition of relevance, the main one first.
        others: One sentence about the other encoders; may be empty.
        of_others: Verdicts of the other encoders by the main relevance.
    """

    opening: tuple[str, ...]
    of_runs: tuple[VerdictGroup, ...]
    others: str
    of_others: tuple[ShownVerdict, ...]


def verdict_section(selection: EncoderSelection) -> VerdictSection:
    """Verdicts of the runs; without runs, the best off-the-shelf encoder."""
    others = [one for one in selection.ranked if one.kind != "run"]
    # Without runs the best encoder's own verdict stands above already.
    rest = others if selection.runs else [one for one in others if one is not others[0]]
    of_others = _verdict_group(selection, rest, selection.relevance)
    return VerdictSection(
        opening=_opening_of_runs(selection) if selection.runs else _opening_without_runs(selection, others),
        of_runs=tuple(_by_relevance(selection)),
        others=_counted_words(selection, of_others) if selection.runs else "",
        of_others=of_others,
    )


def text_verdicts(selection: EncoderSelection) -> tuple[ShownVerdict, ...]:
    """Verdicts of runs on text retrieval, against the linear maps."""
    return tuple(_shown_verdict(selection, verdict, in_searches="") for verdict in selection.report.text_verdicts)


def _by_relevance(selection: EncoderSelection) -> Iterable[VerdictGroup]:
    for relevance in selection.report.relevance:
        found = _verdict_group(selection, selection.runs or selection.ranked[:1], relevance)
        if found:
            yield VerdictGroup(relevance=relevance, shown=found[:_MOST_VERDICTS], more=found[_MOST_VERDICTS:])


def _verdict_group(
    selection: EncoderSelection, encoders: Iterable[EncoderFigures], relevance: str
) -> tuple[ShownVerdict, ...]:
    with_verdicts = [(one, one.relevances[relevance].verdict) for one in encoders if relevance in one.relevances]
    found = [(one, verdict) for one, verdict in with_verdicts if verdict is not None]
    found.sort(key=lambda both: -both[1].difference.mean)
    return tuple(
        _shown_verdict(selection, verdict, in_searches=_in_searches(selection, one, verdict)) for one, verdict in found
    )


def _shown_verdict(selection: EncoderSelection, verdict: Verdict, *, in_searches: str) -> ShownVerdict:
    style, mark = VERDICT_STYLES[verdict.word]
    return ShownVerdict(
        encoder=selection.legend_entry(verdict.encoder),
        word=verdict.word,
        style=style,
        mark=mark,
        in_searches=in_searches,
        sentences=_short(selection, verdict).sentences,
    )


def _short(selection: EncoderSelection, verdict: Verdict) -> Verdict:
    """The same, with names that fit into a sentence."""
    named = titled(verdict, lambda name: called(selection, name))
    return replace(
        named,
        relevance=sentence_text(verdict.relevance, to=LONGEST_NAME),
    )


def _in_searches(selection: EncoderSelection, encoder: EncoderFigures, verdict: Verdict) -> str:
    """The verdict as a number of searches out of 100; empty where recall_at_1 is unknown."""
    both = []
    for one in (encoder, selection.report.encoder(verdict.baseline)):
        figures = one.relevances.get(verdict.relevance)
        if figures is None or "recall_at_1" not in figures.metrics:
            return ""
        both.append(round(_SEARCHES * figures.metrics["recall_at_1"].mean))
    own_count, baseline_count = both
    name, baseline = called(selection, encoder.name), called(selection, verdict.baseline)
    if own_count == baseline_count:
        return f"In about {own_count} of {_SEARCHES} searches the first image is right, with {name} as with {baseline}."
    return (
        f"In about {own_count} of {_SEARCHES} searches the first image is right with {name}, in about "
        f"{baseline_count} with {baseline}."
    )


def _opening_of_runs(selection: EncoderSelection) -> tuple[str, ...]:
    baseline = called(selection, selection.report.baseline)
    runs = [one for one in selection.runs if one.name != selection.report.baseline]
    if not runs:
        return (f"No verdict: {baseline} is the only run, and it is the baseline.",)
    words = Counter(
        verdict.word for one in runs if (verdict := one.relevances[selection.relevance].verdict) is not None
    )
    counts = [f"{words[word]} {word}" for word in VERDICT_STYLES if words[word]]
    if len(runs) == 1 or not counts:
        return ()
    return (f"Of {len(runs)} runs, against {baseline}: {', '.join(counts)}.",)


def _opening_without_runs(selection: EncoderSelection, others: Sequence[EncoderFigures]) -> tuple[str, ...]:
    best, baseline = others[0], selection.report.baseline
    found = best.relevances[selection.relevance].metrics[selection.report.metric]
    first = (
        f"No run is compared. Of {counted(len(others), 'encoder')} without fine-tuning, "
        f"{called(selection, best.name)} has the highest {selection.report.metric} by "
        f"{selection.relevance}: {percent(found.mean)} % ({between(found.low, found.high)})."
    )
    if best.name != baseline:
        return (first, f"Its verdict against the baseline, {called(selection, baseline)}:")
    if len(others) == 1:
        return (first, "There is no other encoder to compare it with.")
    verdicts = {one.name: one.relevances[selection.relevance].verdict for one in others[1:]}
    worse = [name for name, verdict in verdicts.items() if verdict is not None and verdict.word == "worse"]
    undecided = [name for name in verdicts if name not in worse]
    if not undecided:
        return (first, "The difference is significant: each of the others is worse.")
    rest = f" {counted(len(worse), 'other is', 'others are')} worse." if worse else ""
    return (first, f"It is not shown to be the best: {_names(selection, undecided)} may be as good or better.{rest}")


def _counted_words(selection: EncoderSelection, found: Sequence[ShownVerdict]) -> str:
    if not found:
        return ""
    words = Counter(one.word for one in found)
    counts = ", ".join(f"{words[word]} {word}" for word in VERDICT_STYLES if words[word])
    of = f"{len(found)} other encoders" if len(found) > 1 else "one other encoder"
    return f"Of {of}, against {called(selection, selection.report.baseline)}: {counts}."


def called(selection: EncoderSelection, name: str) -> str:
    """Name of an encoder within a sentence."""
    return sentence_text(selection.report.title(name), to=_LONGEST_TITLE)


def _names(selection: EncoderSelection, names: Sequence[str]) -> str:
    shown = [called(selection, name) for name in names[:_MOST_NAMES]]
    more = len(names) - len(shown)
    return joined([*shown, f"{more} more"] if more else shown)
