"""Runs of a tiny CLIP, and their figures before training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from simtrain.commands.evaluate import EvaluationReport, evaluate
from simtrain.config import RunConfig
from simtrain.console import SILENT

MakeConfig = Callable[..., RunConfig]


def clip_config(make_config: MakeConfig, model: Path, **sections: Any) -> RunConfig:
    return make_config(
        encoder={"kind": "clip", "model": str(model)},
        trainer={"epochs": 1, "accelerator": "cpu"},
        optimizer={"learning_rate": 1e-3},
        **sections,
    )


def zero_shot(config: RunConfig, *, split: str = "test") -> EvaluationReport:
    return evaluate(config, run=None, split=split, alpha=None, console=SILENT)
