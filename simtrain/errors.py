"""Errors that a user can fix. Each is shown in one or two lines without traceback, with exit status 2."""


class SimtrainError(Exception):
    """Something the user can fix; the message says where, what was found and what is allowed."""


class ConfigError(SimtrainError):
    """A configuration that does not fit the schema or the machine."""


class CatalogError(SimtrainError):
    """A source, a catalogue or an image in it that cannot be used as asked."""


class CheckpointError(SimtrainError):
    """A run folder, a checkpoint or a weights file that is not what it should be."""


class BundleError(SimtrainError):
    """An exported bundle that is incomplete, altered or mismatched."""


def first_line(error: Exception) -> str:
    """The first line of an exception's message, or its kind where it has none: what fits into a message of ours."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
