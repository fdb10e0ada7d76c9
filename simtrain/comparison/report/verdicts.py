"""Verdicts at the top of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from simtrain.comparison.report.encoder_selection import LONGEST_NAME, Cast, Player
from simtrain.comparison.report.wording import spoken
from simtrain.comparison.result import EncoderFigures
from simtrain.comparison.verdict import Verdict, Word
from simtrain.phrases import between, counted, joined, percent

_MOST = 4
_MOST_NAMES = 6
_SEARCHES = 100
WORDS: dict[Word, tuple[str, str]] = {
    "better": ("better", "▲"), "not shown to be better": ("open", "■"), "worse": ("worse", "▼"),
}  # fmt: skip
"""Verdict -> CSS class, and a mark for readers who see no colours."""


@dataclass(frozen=True, kw_only=True)
class ShownVerdict:
    """A verdict as the page shows it."""

    player: Player
    word: Word
    style: str
    mark: str
    plainly: str
    """The verdict as a number of searches out of 100; may be empty."""
    sentences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class VerdictGroup:
    """Verdicts by one definition of relevance."""

    relevance: str
    shown: tuple[ShownVerdict, ...]
    more: tuple[ShownVerdict, ...]


@dataclass(frozen=True, kw_only=True)
class Lead:
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


def lead_of(cast: Cast) -> Lead:
    """Verdicts of the runs; without runs, the best off-the-shelf encoder."""
    others = [one for one in cast.ranked if one.kind != "run"]
    # Without runs the best encoder's own verdict stands above already.
    rest = others if cast.runs else [one for one in others if one is not others[0]]
    of_others = _verdict_group(cast, rest, cast.relevance)
    return Lead(
        opening=_opening_of_runs(cast) if cast.runs else _opening_without_runs(cast, others),
        of_runs=tuple(_by_relevance(cast)),
        others=_counted_words(cast, of_others) if cast.runs else "",
        of_others=of_others,
    )


def _by_relevance(cast: Cast) -> Iterable[VerdictGroup]:
    for relevance in cast.report.relevance:
        found = _verdict_group(cast, cast.runs or cast.ranked[:1], relevance)
        if found:
            yield VerdictGroup(relevance=relevance, shown=found[:_MOST], more=found[_MOST:])


def _verdict_group(cast: Cast, encoders: Iterable[EncoderFigures], relevance: str) -> tuple[ShownVerdict, ...]:
    judged = [(one, one.relevances[relevance].verdict) for one in encoders if relevance in one.relevances]
    found = [(one, verdict) for one, verdict in judged if verdict is not None]
    found.sort(key=lambda both: -both[1].difference.mean)
    return tuple(_shown_verdict(cast, one, verdict) for one, verdict in found)


def _shown_verdict(cast: Cast, encoder: EncoderFigures, verdict: Verdict) -> ShownVerdict:
    style, mark = WORDS[verdict.word]
    return ShownVerdict(
        player=cast.player(encoder.name),
        word=verdict.word,
        style=style,
        mark=mark,
        plainly=_plainly(cast, encoder, verdict),
        sentences=_short(verdict).sentences,
    )


def _short(verdict: Verdict) -> Verdict:
    """The same, with names that fit into a sentence."""
    return replace(
        verdict,
        encoder=spoken(verdict.encoder, to=LONGEST_NAME),
        baseline=spoken(verdict.baseline, to=LONGEST_NAME),
        relevance=spoken(verdict.relevance, to=LONGEST_NAME),
    )


def _plainly(cast: Cast, encoder: EncoderFigures, verdict: Verdict) -> str:
    """The verdict as a number of searches out of 100; empty where recall_at_1 is unknown."""
    both = []
    for one in (encoder, cast.report.encoder(verdict.baseline)):
        figures = one.relevances.get(verdict.relevance)
        if figures is None or "recall_at_1" not in figures.metrics:
            return ""
        both.append(round(_SEARCHES * figures.metrics["recall_at_1"].mean))
    mine, its = both
    name, baseline = spoken(encoder.name, to=LONGEST_NAME), spoken(verdict.baseline, to=LONGEST_NAME)
    if mine == its:
        return f"Of {_SEARCHES} searches about {mine} begin with a right image, with {name} as with {baseline}."
    return f"Of {_SEARCHES} searches about {mine} begin with a right image with {name}, about {its} with {baseline}."


def _opening_of_runs(cast: Cast) -> tuple[str, ...]:
    baseline = spoken(cast.report.baseline, to=LONGEST_NAME)
    runs = [one for one in cast.runs if one.name != cast.report.baseline]
    if not runs:
        return (f"{baseline} is the only run and the baseline itself, so there is no verdict on it.",)
    words = Counter(verdict.word for one in runs if (verdict := one.relevances[cast.relevance].verdict) is not None)
    told = [f"{words[word]} {word}" for word in WORDS if words[word]]
    if len(runs) == 1 or not told:
        return ()
    return (f"Of {len(runs)} runs, against {baseline}: {', '.join(told)}.",)


def _opening_without_runs(cast: Cast, others: Sequence[EncoderFigures]) -> tuple[str, ...]:
    best, baseline = others[0], cast.report.baseline
    found = best.relevances[cast.relevance].metrics[cast.report.metric]
    first = (
        f"No trained run takes part. Of {counted(len(others), 'encoder')} as they come, "
        f"{spoken(best.name, to=LONGEST_NAME)} has the highest {cast.report.metric} by {cast.relevance}: "
        f"{percent(found.mean)} % ({between(found.low, found.high)})."
    )
    if best.name != baseline:
        return (first, f"It was judged against {spoken(baseline, to=LONGEST_NAME)}:")
    if len(others) == 1:
        return (first, "There is no other to judge it against.")
    verdicts = {one.name: one.relevances[cast.relevance].verdict for one in others[1:]}
    worse = [name for name, verdict in verdicts.items() if verdict is not None and verdict.word == "worse"]
    open_ = [name for name in verdicts if name not in worse]
    if not open_:
        return (first, "That is shown: each of the others is worse, beyond what chance explains.")
    rest = f" {counted(len(worse), 'other is', 'others are')} shown to be worse." if worse else ""
    return (first, f"Whether it is truly the best is not shown: {_names(open_)} may be as good or better.{rest}")


def _counted_words(cast: Cast, found: Sequence[ShownVerdict]) -> str:
    if not found:
        return ""
    words = Counter(one.word for one in found)
    told = ", ".join(f"{words[word]} {word}" for word in WORDS if words[word])
    of = f"{len(found)} other encoders" if len(found) > 1 else "the one other encoder"
    return f"Of {of}, against {spoken(cast.report.baseline, to=LONGEST_NAME)}: {told}."


def _names(names: Sequence[str]) -> str:
    shown = [spoken(name, to=LONGEST_NAME) for name in names[:_MOST_NAMES]]
    more = len(names) - len(shown)
    return joined([*shown, f"{more} more"] if more else shown)
