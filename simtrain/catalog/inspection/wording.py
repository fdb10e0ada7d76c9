"""Formatting of counts, quoted names and lists in messages."""

from collections.abc import Sequence


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 image`, `2 images`; `many` where an `s` at the end does not do."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def quoted(name: str | None) -> str:
    """The name in quotes; `none` for null."""
    return "none" if name is None else f"'{name}'"


def listed(names: Sequence[str | None], *, at_most: int = 3) -> str:
    """`'a', 'b' and 4 more`: the first names in quotes and how many others there are."""
    shown = [quoted(name) for name in names[:at_most]]
    if len(names) > at_most:
        return f"{', '.join(shown)} and {len(names) - at_most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def shortened(text: str, *, to: int) -> str:
    """At most `to` characters, the last an ellipsis where something was cut; white space becomes single spaces."""
    flat = " ".join(text.split())
    return flat if len(flat) <= to else flat[: to - 1].rstrip() + "…"
