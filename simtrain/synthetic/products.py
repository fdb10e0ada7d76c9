"""Synthetic products: category, colours, pattern, title and price, drawn from (seed, index) alone."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simtrain.synthetic.accessories import handbag, hat, headphones, suitcase
from simtrain.synthetic.decor import clock, lamp
from simtrain.synthetic.furniture import bookshelf, chair, stool, table
from simtrain.synthetic.palette import COLORS, Paint, draw_accent, draw_shade
from simtrain.synthetic.patterns import PATTERNS, Print, draw_print
from simtrain.synthetic.solids import Surface
from simtrain.synthetic.vessels import bottle, mug, teapot, vase

# Sub-streams of the seed, so that drawing more numbers for one purpose never moves another.
_CATEGORY_STREAM, _COLOR_STREAM, _FAMILY_STREAM, _PRODUCT_STREAM, _SHAPE_STREAM = range(5)
_SHARED_WITH_SIBLING = 0.75


@dataclass(frozen=True, kw_only=True)
class _Category:
    build: Callable[..., list[Surface]]
    styles: tuple[str, ...]
    accent_part: str
    """The part that always carries the accent colour, so that captions are true."""
    price: float
    """Median price, EUR."""
    plain: float
    """Share of products without a pattern, 0..1."""


_CATEGORIES: dict[str, _Category] = {
    "bookshelf": _Category(
        build=bookshelf, styles=("tall", "wide", "cube"), accent_part="back panel", price=149.0, plain=1.0
    ),
    "bottle": _Category(
        build=bottle, styles=("sport", "long-neck", "waisted"), accent_part="cap", price=19.0, plain=0.4
    ),
    "chair": _Category(build=chair, styles=("panel", "ladder", "spindle"), accent_part="legs", price=89.0, plain=0.65),
    "clock": _Category(build=clock, styles=("round", "square", "alarm"), accent_part="bezel", price=29.0, plain=0.6),
    "handbag": _Category(
        build=handbag, styles=("tote", "satchel", "bucket"), accent_part="handles", price=79.0, plain=0.45
    ),
    "hat": _Category(
        build=hat, styles=("fedora", "bowler", "boater", "sun"), accent_part="ribbon", price=35.0, plain=0.7
    ),
    "headphones": _Category(
        build=headphones, styles=("round", "oval", "studio"), accent_part="ear plates", price=99.0, plain=1.0
    ),
    "lamp": _Category(build=lamp, styles=("cone", "drum", "dome"), accent_part="base", price=49.0, plain=0.5),
    "mug": _Category(
        build=mug, styles=("straight", "tapered", "rounded"), accent_part="handle", price=12.0, plain=0.35
    ),
    "stool": _Category(build=stool, styles=("round", "square", "tripod"), accent_part="legs", price=45.0, plain=0.6),
    "suitcase": _Category(
        build=suitcase, styles=("ribbed", "smooth", "vintage"), accent_part="handle", price=119.0, plain=0.55
    ),
    "table": _Category(
        build=table, styles=("rectangular", "oval", "pedestal"), accent_part="legs", price=179.0, plain=0.75
    ),
    "teapot": _Category(build=teapot, styles=("round", "tall", "squat"), accent_part="handle", price=32.0, plain=0.4),
    "vase": _Category(
        build=vase, styles=("round", "slender", "trumpet", "urn"), accent_part="rim", price=27.0, plain=0.35
    ),
}

CATEGORIES: tuple[str, ...] = tuple(_CATEGORIES)


@dataclass(frozen=True, kw_only=True)
class SyntheticProduct:
    """One product of the catalogue; equal fields always render to equal images."""

    product: str
    """Unique id, such as `mug-0012`."""
    category: str
    """One of CATEGORIES."""
    color: str
    """Name of the main colour, one of COLORS."""
    accent_color: str
    """Name of the second colour, one of COLORS."""
    pattern: str
    """One of plain, striped, pinstriped, dotted, banded, two-tone, checked, zigzag."""
    title: str
    """Natural English, such as `Red striped tapered mug with white handle`."""
    price: float
    """EUR, > 0."""
    style: str
    """The build within the category, such as `tapered`."""
    index: int
    """Position in the catalogue, >= 0."""
    seed: int
    """The catalogue's seed, >= 0."""


def synthetic_products(count: int, *, seed: int) -> list[SyntheticProduct]:
    """The first `count` products of the endless catalogue number `seed`.

    Product i depends on (seed, i) only, so a longer catalogue begins with the shorter one. Every run of 14 products
    holds each category once, in shuffled order; two consecutive runs give a category the same colour, so that products
    have siblings that differ by shape, pattern or accent only.

    Raises:
        ValueError: `count` < 1 or `seed` < 0.
    """
    if count < 1:
        raise ValueError(f"synthetic_products: count is {count}; it must be at least 1")
    if seed < 0:
        raise ValueError(f"synthetic_products: seed is {seed}; it must be at least 0")
    return [_product(index, seed=seed) for index in range(count)]


def product_surfaces(product: SyntheticProduct) -> tuple[list[Surface], Print]:
    """A product's painted parts and the pattern printed on them."""
    rng = _generator(product.seed, _SHAPE_STREAM, product.index)
    paint = Paint(
        primary=draw_shade(product.color, rng=rng),
        accent=draw_shade(product.accent_color, rng=rng),
        metallic=product.color == "silver",
    )
    surface_print = draw_print(product.pattern, color=paint.accent, rng=rng)
    return _CATEGORIES[product.category].build(style=product.style, paint=paint, rng=rng), surface_print


def _product(index: int, *, seed: int) -> SyntheticProduct:
    turn, place = divmod(index, len(CATEGORIES))
    number = int(_generator(seed, _CATEGORY_STREAM, turn).permutation(len(CATEGORIES))[place])
    pair = turn // 2
    category = CATEGORIES[number]
    color = COLORS[int(_generator(seed, _COLOR_STREAM, pair).permutation(len(COLORS))[number % len(COLORS)])]
    family = _looks(category, color=color, rng=_generator(seed, _FAMILY_STREAM, pair, number))
    rng = _generator(seed, _PRODUCT_STREAM, index)
    own = _looks(category, color=color, rng=rng)
    # Siblings take over part of each other's looks: alike, never equal, because the shape is drawn per product.
    shared = rng.random(3) < _SHARED_WITH_SIBLING
    style, pattern, accent = (theirs if same else mine for theirs, mine, same in zip(family, own, shared, strict=True))
    return SyntheticProduct(
        product=f"{category}-{index:04d}",
        category=category,
        color=color,
        accent_color=accent,
        pattern=pattern,
        title=_title(category, style=style, color=color, pattern=pattern, accent=accent),
        price=max(1.0, round(_CATEGORIES[category].price * float(np.exp(rng.normal(0.0, 0.35))))) - 0.01,
        style=style,
        index=index,
        seed=seed,
    )


def _looks(category: str, *, color: str, rng: np.random.Generator) -> tuple[str, str, str]:
    """Style, pattern and accent colour."""
    kind = _CATEGORIES[category]
    style = kind.styles[int(rng.integers(len(kind.styles)))]
    printed = PATTERNS[1 + int(rng.integers(len(PATTERNS) - 1))]
    return style, "plain" if rng.random() < kind.plain else printed, draw_accent(color, rng=rng)


def _title(category: str, *, style: str, color: str, pattern: str, accent: str) -> str:
    words = [color.capitalize(), *([] if pattern == "plain" else [pattern]), style, category]
    return f"{' '.join(words)} with {accent} {_CATEGORIES[category].accent_part}"


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))
