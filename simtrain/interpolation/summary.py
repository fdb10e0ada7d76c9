"""The mixes between initial and fine-tuned weights as lines of text."""

from collections.abc import Iterator
from math import isnan
from typing import TYPE_CHECKING

from simtrain.phrases import between, counted, percent, signed_points
from simtrain.tables import Alignment, text_table

if TYPE_CHECKING:
    from simtrain.interpolation.result import Interpolation


def result_lines(result: "Interpolation") -> Iterator[str]:
    """A table of the mixes with their image and text metric in percent, then the chosen mix with its intervals."""
    texts = f", texts: {result.text_kind}" if result.text_kind else ""
    yield (
        f"{result.run_folder.name}, split val: {result.queries} queries{texts}; alpha 0 = initial weights, "
        "1 = fine-tuned weights"
    )
    yield result.images
    if result.norms:
        yield (
            f"BatchNorm learned in this run: between 0 and 1 its statistics ({result.norms} layers) were estimated on "
            f"{result.sample} training images"
        )
    columns: list[tuple[str, Alignment]] = [("alpha", "right"), (f"{result.metric} %", "right"), ("gain", "right")]
    if result.text_metric is not None:
        columns += [(f"{result.text_metric} %", "right"), ("loss", "right")]
    yield text_table([*columns, ("", "left")], _rows(result))
    yield _choice(result)
    yield from _remarks(result)


def _rows(result: "Interpolation") -> list[list[str]]:
    rows = []
    for index, (mix, point) in enumerate(zip(result.mixes, result.points(), strict=True)):
        cells = [f"{mix.alpha:g}", percent(mix.mean(result.metric)), signed_points(point.gain)]
        if result.text_metric is not None and point.loss is not None:
            cells += [percent(mix.text[result.text_metric].mean), signed_points(point.loss)]
        verdict = "" if result.within_bound(point) else "loses too much"
        rows.append([*cells, "chosen" if index == result.chosen else verdict])
    return rows


def _choice(result: "Interpolation") -> str:
    if result.chosen == 0:
        most = counted(result.bound, "point")
        within = "" if result.loss is None else f" and loses no more than {most} of {result.text_metric}"
        return f"chosen: alpha 0: no mix has a higher {result.metric} than the initial weights{within}"
    gain, loss = result.gain, result.loss
    line = (
        f"chosen: alpha {result.alpha:g}: {result.metric} {_change(gain.mean, gain.low, gain.high, result.confidence)}"
    )
    if loss is None:
        return line
    return f"{line}, {result.text_metric} {_change(-loss.mean, -loss.high, -loss.low, result.confidence)}"


def _remarks(result: "Interpolation") -> list[str]:
    if result.loss is None:
        return [f"text retrieval not considered: {result.no_texts}"]
    one, most = 100 / result.text_queries, counted(result.bound, "point")
    if one > result.bound:
        return [
            f"{result.text_metric} is a mean over {result.text_queries} queries, one of which is "
            f"{counted(round(one, 1), 'point')}: too coarse for a loss of {most}"
        ]
    if not isnan(result.loss.high) and 100 * result.loss.high > result.bound:
        reach = f"the interval of the loss ends at {100 * result.loss.high:.1f}"
        return [f"on other images {result.text_metric} may lose more than {most}: {reach}"]
    return []


def _change(mean: float, low: float, high: float, confidence: float) -> str:
    change = f"{signed_points(100 * mean)} points"
    ends = between(100 * low, 100 * high, write=signed_points, unknown="")
    sure = f"{100 * confidence:.0f} % interval {ends}" if ends else "of one product or label only: no interval"
    return f"{change} ({sure})"
