"""Head of the benches that disturb commands: the project and its tests' modules on the path, libraries kept quiet."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", NO_ALBUMENTATIONS_UPDATE="1", WANDB_MODE="offline")

from disturbed_commands import (  # noqa: E402 - of the tests, whose folder is on the path now
    CONTEXT,
    CommandProcess,
    Disturbance,
    Verb,
    changes_of,
    differences,
    faults_after_error,
    faults_after_kill,
    make_world,
    renewed,
    snapshot,
    verbs_named,
)

__all__ = [
    "CONTEXT",
    "CommandProcess",
    "Disturbance",
    "Verb",
    "changes_of",
    "differences",
    "faults_after_error",
    "faults_after_kill",
    "make_world",
    "renewed",
    "snapshot",
    "verbs_named",
]
