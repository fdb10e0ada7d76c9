"""One thing of a configuration that does not go well with a catalogue."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """Something that the user may not have meant.

    Attributes:
        kind: What it is, in one word or two.
        message: For a person: what was found, what follows, what to set.
        figures: What was measured.
    """

    kind: str
    message: str
    figures: dict[str, Any]
