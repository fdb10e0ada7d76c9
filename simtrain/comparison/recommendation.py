"""What a comparison recommends: take a run, not yet, or keep an encoder that no run has trained.

Runs and settings are chosen by their validation figures; whether one is better, by the verdicts on the evaluated split.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from simtrain.phrases import between, counted, fine_percent, fine_signed_percent, joined, percent

if TYPE_CHECKING:
    from simtrain.comparison.result import EncoderFigures
    from simtrain.comparison.verdict import Verdict

Answer = Literal["take", "not yet", "keep"]
_BUNDLES = "bundles"


_WITHOUT_WEIGHTS = ("pixels", "histogram_")  # names of encoders, whitened or not


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """What to do after a comparison.

    Attributes:
        answer: `take`: the run; `not yet`: the run is not shown to be good enough, and why; `keep`: an encoder that no
            run has trained.
        encoder: Name of the encoder to search with now.
        run: Name of the run that the answer is about; None: none was compared.
        sentence: The answer in one sentence.
        reasons: More sentences, the most important first.
        command: The next command, as it can be typed; None: no command exports this encoder.
    """

    answer: Answer
    encoder: str
    run: str | None
    sentence: str
    reasons: tuple[str, ...]
    command: str | None

    def lines(self) -> list[str]:
        """The sentence, the reasons and the next command."""
        following = [] if self.command is None else [f"next: {self.command}"]
        return [self.sentence, *self.reasons, *following]


@dataclass(frozen=True, kw_only=True)
class JudgedEncoders:
    """The encoders of a comparison with their verdicts.

    Attributes:
        encoders: All of them but chance, with verdicts.
        relevance: The main definition of relevance.
        metric: The metric that verdicts are based on.
        split: The evaluated split, for sentences.
        baseline: Name of the encoder that the others are compared with.
        validation: Name of an encoder -> its mean in the metric on val; empty where val has no queries.
        text_verdicts: Verdicts of runs on text retrieval, against linear maps.
    """

    encoders: Sequence[EncoderFigures]
    relevance: str
    metric: str
    split: str
    baseline: str
    validation: Mapping[str, float]
    text_verdicts: Sequence[Verdict]

    def named(self, name: str) -> EncoderFigures:
        """The encoder of this name."""
        return next(one for one in self.encoders if one.name == name)

    def verdict(self, encoder: EncoderFigures) -> Verdict | None:
        """Its verdict by the main relevance; None: it is the baseline."""
        return encoder.relevances[self.relevance].verdict

    def mean(self, encoder: EncoderFigures) -> float:
        """Its mean in the metric on the evaluated split, 0..1."""
        return encoder.relevances[self.relevance].metrics[self.metric].mean

    def best(self, encoders: Sequence[EncoderFigures]) -> EncoderFigures:
        """The best on val; where val has no queries, on the evaluated split."""
        return max(encoders, key=lambda one: (self.validation.get(one.name, self.mean(one)), has_learned(one.name)))

    @property
    def chosen_on(self) -> str:
        """The split that `best` looks at."""
        return "val" if self.validation else self.split


def has_learned(name: str) -> bool:
    """Whether an encoder by this name has weights: of two that are equally good it is taken."""
    return not name.startswith(_WITHOUT_WEIGHTS)


def recommend(judged: JudgedEncoders) -> Recommendation:
    """The recommendation of a comparison.

    Args:
        judged: At least one encoder.
    """
    runs = [one for one in judged.encoders if one.kind == "run"]
    others = [one for one in judged.encoders if one.kind != "run"]
    if not runs:
        return _without_runs(judged, others)
    better = [one for one in runs if _is_better(judged, one)]
    run = judged.best(better or runs)
    if not others:
        return _runs_alone(judged, run, better=bool(better))
    kept, remark = _kept(judged, others)
    answer, sentence = _answer(judged, run, kept, others)
    chosen = run if answer == "take" else kept
    of_choice = (
        f"{run.name} is chosen among {len(runs)} runs by {judged.metric} on {judged.chosen_on}."
        if len(runs) > 1
        else ""
    )
    reasons = [of_choice, *_further(judged, run), *([] if answer == "take" else [remark])]
    return _recommendation(answer, chosen, run=run.name, sentence=sentence, reasons=reasons)


def _without_runs(judged: JudgedEncoders, others: Sequence[EncoderFigures]) -> Recommendation:
    kept, remark = _kept(judged, others)
    of = f"the best on {judged.chosen_on} of {len(others)} encoders" if len(others) > 1 else "the only one compared"
    sentence = f"keep {_title(kept)}: {of} without fine-tuning ({judged.metric} on {judged.split} "
    sentence += f"{percent(judged.mean(kept))} %)"
    return _recommendation("keep", kept, run=None, sentence=sentence, reasons=[*_worse_elsewhere(judged, kept), remark])


def _worse_elsewhere(judged: JudgedEncoders, kept: EncoderFigures) -> list[str]:
    """By which other definitions of relevance it is worse, and than what."""
    others = [of.verdict for name, of in kept.relevances.items() if name != judged.relevance]
    return [
        f"By {one.relevance} it is worse than {_title(judged.named(one.baseline))} ({_difference(one)})."
        for one in others
        if one is not None and one.word == "worse"
    ]


def _runs_alone(judged: JudgedEncoders, run: EncoderFigures, *, better: bool) -> Recommendation:
    reason = "better than the run that it was compared with" if better else f"the best run on {judged.chosen_on}"
    return _recommendation(
        "take" if better else "not yet",
        run,
        run=run.name,
        sentence=f"take {run.name}: {reason}"
        if better
        else f"not yet: {run.name} is {reason}, and no untouched encoder was compared",
        reasons=[],
    )


def _recommendation(
    answer: Answer, chosen: EncoderFigures, *, run: str | None, sentence: str, reasons: Sequence[str]
) -> Recommendation:
    command = None
    if chosen.export is not None:
        words = ("simtrain", "export", *chosen.export, "--out", f"{_BUNDLES}/{_file_name(chosen.name)}")
        command = " ".join(shlex.quote(word) for word in words)
    return Recommendation(
        answer=answer,
        encoder=chosen.name,
        run=run,
        sentence=sentence,
        reasons=tuple(reason for reason in reasons if reason),
        command=command,
    )


def _answer(
    judged: JudgedEncoders, run: EncoderFigures, kept: EncoderFigures, others: Sequence[EncoderFigures]
) -> tuple[Answer, str]:
    """The answer on the chosen run, and its sentence."""
    keep, verdict = f"keep {_title(kept)}", judged.verdict(run)
    if verdict is None:  # the run is the baseline: turned round, the verdict is that of the untouched encoder
        return _of_baseline_run(judged, run, kept)
    against, by = _title(judged.named(verdict.baseline)), _difference(verdict)
    than = "" if verdict.baseline == kept.name else f" than {against}"
    if _is_better(judged, run):
        ahead = max(others, key=judged.mean)
        if judged.mean(ahead) > judged.mean(run):
            return "not yet", (
                f"not yet: {run.name} is better than {against} ({by}), but {_title(ahead)}, which no run has trained, "
                f"has more on {judged.split} ({percent(judged.mean(ahead))} against {percent(judged.mean(run))} %); "
                f"meanwhile {keep}"
            )
        return "take", f"take {run.name}: it is better than {against} ({by})"
    if verdict.word == "worse":
        return "keep", f"{keep}: it costs nothing, and {run.name} is worse{than} ({by})"
    falls = [f"{one.metric} by {one.relevance} ({fine_signed_percent(one.difference)} points)"
             for one in verdict.contradictions]  # fmt: skip
    of_texts = next((one for one in judged.text_verdicts if one.encoder == run.name and one.word == "worse"), None)
    if of_texts is not None:
        falls.append(f"{of_texts.metric} against {of_texts.baseline}")
    if verdict.word in ("mixed", "better"):
        words = ("better", "worse") if verdict.difference.mean > 0 else ("worse", "better")
        return "not yet", (
            f"not yet: {run.name} is {words[0]} than {against} ({by}), but {words[1]} by {joined(falls)}; "
            f"meanwhile {keep}"
        )
    if verdict.difference.mean > 0:
        return "not yet", f"not yet: {run.name} is not shown to be better than {against} ({by}); meanwhile {keep}"
    return "keep", f"{keep}: it costs nothing, and {run.name} is not shown to be better{than} ({by})"


def _of_baseline_run(judged: JudgedEncoders, run: EncoderFigures, kept: EncoderFigures) -> tuple[Answer, str]:
    verdict = judged.verdict(kept)
    assert verdict is not None
    by = _difference(verdict)
    if verdict.word == "worse":
        return "take", f"take {run.name}: {_title(kept)} is worse ({by})"
    if verdict.word == "better":
        return "keep", f"keep {_title(kept)}: it costs nothing, and is better than {run.name} ({by})"
    word = "mixed" if verdict.word == "mixed" else "open"
    return "not yet", (
        f"not yet: whether {run.name} is better than {_title(kept)} is {word} ({by} of the latter); meanwhile "
        f"keep {_title(kept)}"
    )


def _further(judged: JudgedEncoders, run: EncoderFigures) -> list[str]:
    """What else is to be known of the run: categories that fall, and what these queries cannot show."""
    verdict = judged.verdict(run)
    if verdict is None:
        return []
    falls = [f"{one.relevance} ({fine_signed_percent(one.difference)} points)" for one in verdict.falling_categories]
    told = [f"{run.name} is worse in {joined(falls)}."] if falls else []
    if verdict.word == "not shown to be better" and verdict.resolvable_difference is not None:
        told.append(
            f"{counted(verdict.queries, 'query', 'queries')} of {counted(verdict.products, 'product')} show a "
            f"difference of {fine_percent(verdict.resolvable_difference)} points or more: more test products would "
            "show a smaller one."
        )
    return told


def _kept(judged: JudgedEncoders, others: Sequence[EncoderFigures]) -> tuple[EncoderFigures, str]:
    """The untouched encoder to search with, and a remark where it is not the best one because that has no export."""
    best = judged.best(others)
    exported = [one for one in others if one.export is not None]
    if best.export is not None or not exported:
        return best, ""
    kept = judged.best(exported)
    return kept, f"{_title(best)} is better on {judged.chosen_on}, but cannot be exported by a command."


def _is_better(judged: JudgedEncoders, run: EncoderFigures) -> bool:
    """Whether the run is better, in its texts not worse."""
    verdict = judged.verdict(run)
    texts = [one.word for one in judged.text_verdicts if one.encoder == run.name]
    return verdict is not None and verdict.word == "better" and "worse" not in texts


def _difference(verdict: Verdict) -> str:
    found = verdict.difference
    ends = between(found.low, found.high, write=fine_signed_percent, unknown="")
    interval = f", {100 * verdict.confidence:g} % interval {ends}" if ends else ""
    return f"{verdict.metric} by {verdict.relevance} {fine_signed_percent(found.mean)} points{interval}"


def _title(encoder: EncoderFigures) -> str:
    return encoder.title or encoder.name


def _file_name(name: str) -> str:
    """The name as that of a folder: what is no letter, digit, dot, dash or underscore becomes an underscore."""
    return "".join(one if one.isalnum() or one in "._-" else "_" for one in name).lstrip(".") or "encoder"
