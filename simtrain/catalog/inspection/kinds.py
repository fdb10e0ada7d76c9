"""The kinds of findings, most harmful first: how bad each is, why it matters and what to do about it."""

from simtrain.catalog.inspection.image_kinds import IMAGE_KINDS
from simtrain.catalog.inspection.kind import Kind, Severity
from simtrain.catalog.inspection.source_kinds import SOURCE_KINDS

__all__ = ["KINDS", "SEVERITY", "Kind", "Severity"]

_RANKS: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


def _harm(kind: str) -> tuple[int, bool]:
    """Errors of images come before those of the source, which is told first of what is no error."""
    severity = {**IMAGE_KINDS, **SOURCE_KINDS}[kind].severity
    return _RANKS[severity], (kind in SOURCE_KINDS) == (severity == "error")


KINDS: dict[str, Kind] = {
    kind: {**IMAGE_KINDS, **SOURCE_KINDS}[kind] for kind in sorted([*IMAGE_KINDS, *SOURCE_KINDS], key=_harm)
}
"""By the `kind` of a finding, most harmful first."""

SEVERITY: dict[str, Severity] = {name: kind.severity for name, kind in KINDS.items()}
