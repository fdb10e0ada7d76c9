"""What all findings of a kind have in common."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What all findings of a kind have in common.

    Attributes:
        severity: `error` spoils training or its figures (some kinds `prepare` has mended, and says so); `warning` may;
            `note` is worth knowing.
        title: A heading.
        why: What it does to training, or to the figures of an evaluation.
        remedy: What to do.
        shown: `together`: the images of a finding side by side; `singly`: each image for itself; `text`: in words only.
    """

    severity: Severity
    title: str
    why: str
    remedy: str
    shown: Literal["together", "singly", "text"]
