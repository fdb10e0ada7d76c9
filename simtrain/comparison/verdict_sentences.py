"""Sentences of a verdict, for the console and the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from simtrain.phrases import between, counted, fine_percent, fine_signed_percent, joined

if TYPE_CHECKING:
    from simtrain.comparison.verdict import Contradiction, Verdict


def verdict_sentences(verdict: Verdict) -> tuple[str, ...]:
    """The verdict, categories that fall, the smallest detectable difference and, with several seeds, their spread."""
    falling = [_falling_sentence(verdict)] if verdict.falling_categories else []
    seeds = [_seeds_sentence(verdict)] if verdict.seed_spread is not None else []
    return (_verdict_sentence(verdict), *falling, _detection_sentence(verdict), *seeds)


def titled(verdict: Verdict, title: Callable[[str], str]) -> Verdict:
    """The verdict with other names of encoders.

    Args:
        verdict: The verdict.
        title: From an encoder's name to the one for sentences.
    """
    contradictions = tuple(replace(one, baseline=title(one.baseline)) for one in verdict.contradictions)
    return replace(
        verdict, encoder=title(verdict.encoder), baseline=title(verdict.baseline), contradictions=contradictions
    )


def _verdict_sentence(verdict: Verdict) -> str:
    found = verdict.difference
    ends = between(found.low, found.high, write=fine_signed_percent, unknown="")
    interval = f"{100 * verdict.confidence:g} % interval {ends}, " if ends else ""
    together = f" corrected for {verdict.comparisons} comparisons" if verdict.comparisons > 1 else ""
    if verdict.word == "mixed":
        word = "better" if found.mean > 0 else "worse"
        against = "worse" if found.mean > 0 else "better"
        answer = (
            f"{verdict.encoder} is {word} than {verdict.baseline} by {verdict.metric}, but {against} by "
            f"{joined([_named(one, verdict) for one in verdict.contradictions])}"
        )
    else:
        answer = f"{verdict.encoder} is {verdict.word} than {verdict.baseline}"
    return (
        f"{answer}: {verdict.metric} by {verdict.relevance} differs by {fine_signed_percent(found.mean)} points "
        f"({interval}{_p_value(verdict.corrected_p_value)}{together}) over "
        f"{counted(verdict.queries, 'query', 'queries')} of "
        f"{counted(verdict.products, 'product')}."
    )


def _named(one: Contradiction, verdict: Verdict) -> str:
    """The metric, its difference, and what differs from the verdict's own relevance and baseline."""
    relevance = f" by {one.relevance}" if one.relevance != verdict.relevance else ""
    baseline = f" against {one.baseline}" if one.baseline != verdict.baseline else ""
    return f"{one.metric}{relevance} ({fine_signed_percent(one.difference)} points{baseline})"


def _falling_sentence(verdict: Verdict) -> str:
    falls = [f"{one.relevance} ({fine_signed_percent(one.difference)} points)" for one in verdict.falling_categories]
    return f"{verdict.metric} falls in {joined(falls)}."


def _detection_sentence(verdict: Verdict) -> str:
    if verdict.differing_products == 0:
        return "Both have the same result at every product."
    if 2.0 ** (1 - verdict.differing_products) * verdict.comparisons > 1.0 - verdict.confidence:
        few = counted(verdict.differing_products, "product")
        return f"They differ at {few}; that is too few for a verdict at this confidence."
    if verdict.resolvable_difference is None:
        return "The difference is the same at every query, so the smallest detectable difference is unknown."
    unseen = "; a smaller one may exist" if verdict.word == "not shown to be better" else ""
    return (
        f"The smallest difference that this split can detect is {fine_percent(verdict.resolvable_difference)} points "
        f"(with {100 * verdict.power:g} % probability){unseen}."
    )


def _seeds_sentence(verdict: Verdict) -> str:
    spread = fine_percent(verdict.seed_spread or 0.0)
    return (
        f"{verdict.encoder} is the mean of {len(verdict.seed_means)} seeds; the standard deviation of their means "
        f"is {spread} points. The interval covers the choice of products, not of seeds."
    )


def _p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
