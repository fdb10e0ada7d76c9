"""What was made before the training is left out of the collections of garbage during it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def settled_objects() -> Iterator[None]:
    """Within it, Python's collector looks at what is made from here on alone.

    The libraries make a million objects that stay, and every whole collection would go through all of them: the draws
    of an epoch of a million samples took ten times as long. Where somebody has frozen objects already, nothing is done.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
