"""A warning about a setting that does not suit the catalogue."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A warning about a setting that the user may not have meant.

    Attributes:
        kind: Kind of the warning, in one or two words.
        message: Text for the user: what was found, what follows, what to set.
        figures: Name -> measured value, for JSON.
    """

    kind: str
    message: str
    figures: dict[str, Any]
