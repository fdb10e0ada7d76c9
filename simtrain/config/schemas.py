"""The configurations that there are, by the word that the command line calls them by."""

from simtrain.config.compare import CompareConfig
from simtrain.config.prepare import PrepareConfig
from simtrain.config.run import RunConfig
from simtrain.config.section import Section

SCHEMAS: dict[str, type[Section]] = {"run": RunConfig, "prepare": PrepareConfig, "compare": CompareConfig}
"""Word -> schema; `run` is that of `simtrain fit`, `evaluate` and `export`."""

VERBS = {"run": "fit", "prepare": "prepare", "compare": "compare"}
"""Word -> the command that takes it."""
