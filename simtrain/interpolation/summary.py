"""The mixes between initial and fine-tuned weights as lines of text."""

from collections.abc import Iterator
from math import isnan
from typing import TYPE_CHECKING

from simtrain.phrases import between, counted, percent, signed_points
from simtrain.tables import Alignment, text_table

if TYPE_CHECKING:
    from simtrain.interpolation.result import Interpolation


def result_lines(found: "Interpolation") -> Iterator[str]:
    """A line for each mix with its image and text figure in percent, then the chosen one and how sure it is."""
    words = f", texts: {found.words}" if found.words else ""
    yield (
        f"{found.run_folder.name}, split val: {found.queries} queries{words}; alpha 0 = initial weights, "
        "1 = fine-tuned weights"
    )
    yield found.images
    if found.norms:
        yield (
            f"BatchNorm learned in this run: between 0 and 1 its statistics ({found.norms} layers) were estimated on "
            f"{found.sample} training images"
        )
    columns: list[tuple[str, Alignment]] = [("alpha", "right"), (f"{found.metric} %", "right"), ("gain", "right")]
    if found.text_metric is not None:
        columns += [(f"{found.text_metric} %", "right"), ("loss", "right")]
    yield text_table([*columns, ("", "left")], _rows(found))
    yield _choice(found)
    yield from _remarks(found)


def _rows(found: "Interpolation") -> list[list[str]]:
    rows = []
    for place, (mix, point) in enumerate(zip(found.mixes, found.points(), strict=True)):
        cells = [f"{mix.alpha:g}", percent(mix.image[found.metric].mean), signed_points(point.gain)]
        if found.text_metric is not None and point.loss is not None:
            cells += [percent(mix.text[found.text_metric].mean), signed_points(point.loss)]
        verdict = "" if found.within_bound(point) else "loses too much"
        rows.append([*cells, "chosen" if place == found.chosen else verdict])
    return rows


def _choice(found: "Interpolation") -> str:
    if found.chosen == 0:
        most = counted(found.bound, "point")
        within = "" if found.loss is None else f" and loses no more than {most} of {found.text_metric}"
        return f"chosen: alpha 0: no mix has a higher {found.metric} than the start{within}"
    gain, loss = found.gain, found.loss
    line = f"chosen: alpha {found.alpha:g}: {found.metric} {_change(gain.mean, gain.low, gain.high, found.confidence)}"
    if loss is None:
        return line
    return f"{line}, {found.text_metric} {_change(-loss.mean, -loss.high, -loss.low, found.confidence)}"


def _remarks(found: "Interpolation") -> list[str]:
    if found.loss is None:
        return [f"text retrieval not considered: {found.no_texts}"]
    one, most = 100 / found.text_queries, counted(found.bound, "point")
    if one > found.bound:
        return [
            f"{found.text_metric} is a mean over {found.text_queries} queries, one of which is "
            f"{counted(round(one, 1), 'point')}: too coarse for a loss of {most}"
        ]
    if not isnan(found.loss.high) and 100 * found.loss.high > found.bound:
        return [f"on other images {found.text_metric} may lose more than {most}: so says the interval"]
    return []


def _change(mean: float, low: float, high: float, confidence: float) -> str:
    change = f"{signed_points(100 * mean)} points"
    ends = between(100 * low, 100 * high, write=signed_points, unknown="")
    sure = f"{100 * confidence:.0f} % interval {ends}" if ends else "of one product only: no interval"
    return f"{change} ({sure})"
