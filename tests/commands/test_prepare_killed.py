"""Killed without a chance to say goodbye: the next run goes on and ends with the same bytes."""

import os
import signal
import subprocess
import sys
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


@pytest.mark.slow
@pytest.mark.parametrize("at", ["first chunk", "first result"])
def test_a_killed_run_is_gone_on_with(tmp_path: Path, at: str) -> None:
    source = draw_images(tmp_path / "images", count=1100)
    expected = run(source, tmp_path / "whole")
    out = tmp_path / "out"
    running = subprocess.Popen(
        [*COMMAND, str(source), "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    awaited = ".prepare/shards/*.facts" if at == "first chunk" else ".prepare/images.parquet"
    while running.poll() is None and not found(out, awaited):
        pass  # until the moment is there, or the run was faster
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert run(source, out).replace(str(out), str(tmp_path / "whole")).splitlines()[:-3] == expected.splitlines()[:-3]
    assert snapshot(out) == snapshot(tmp_path / "whole")
