"""Killed without a chance to say goodbye: the next run goes on and ends with the same bytes."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

COMMAND = [sys.executable, "-m", "simtrain", "prepare"]


def draw_images(root: Path, *, count: int) -> Path:
    """Large enough that reading them takes a moment."""
    generator = np.random.default_rng(0)
    for number in range(count):
        (root / f"label {number % 7}").mkdir(parents=True, exist_ok=True)
        corners = generator.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        picture = cv2.resize(corners, (400 + number % 13, 360), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(root / f"label {number % 7}" / f"{number}.jpg"), picture)
    return root


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(source: Path, out: Path) -> str:
    finished = subprocess.run([*COMMAND, str(source), "--out", str(out)], capture_output=True, text=True, check=True)
    return finished.stdout


def found(folder: Path, pattern: str) -> bool:
    try:
        return any(folder.glob(pattern))
    except FileNotFoundError:  # a folder was renamed while it was looked through
        return False


@dataclass(frozen=True)
class Whole:
    """What a run gives that nothing stops."""

    source: Path
    out: Path
    told: str


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    source = draw_images(folder / "images", count=1100)
    return Whole(source=source, out=folder / "whole", told=run(source, folder / "whole"))


@pytest.mark.slow
@pytest.mark.parametrize("at", ["first chunk", "first result"])
def test_a_killed_run_is_gone_on_with(whole: Whole, tmp_path: Path, at: str) -> None:
    out = tmp_path / "out"
    running = subprocess.Popen(
        [*COMMAND, str(whole.source), "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    awaited = ".prepare/shards/*.facts" if at == "first chunk" else ".prepare/images.parquet"
    while running.poll() is None and not found(out, awaited):
        time.sleep(0.001)  # until the moment is there, or the run was faster
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    told = run(whole.source, out).replace(str(out), str(whole.out))
    assert told.splitlines()[:-3] == whole.told.splitlines()[:-3]
    assert snapshot(out) == snapshot(whole.out)
