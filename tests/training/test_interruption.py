"""Signals that end a run after a whole step, and SLURM's queue."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from simtrain.errors import SimtrainError
from simtrain.training.interruption import Interruption, requeue_in_slurm, requeued_in_slurm

SLURM = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT")


@pytest.fixture
def listening() -> Iterator[Interruption]:
    defaults = {
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGINT: signal.default_int_handler,
        signal.SIGUSR1: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    # Where the tests run in the background or below nohup, these are ignored.
    own = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    interruption = Interruption(watched=False)
    interruption.listen()
    yield interruption
    interruption.forget()
    after = {number: signal.signal(number, handler) for number, handler in own.items()}
    assert after == defaults


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with a scheduler that notes what it is asked."""
    for name in SLURM:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "scontrol").write_text(f"#!/bin/sh\necho $@ >> {tmp_path}/asked\n")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_is_noted_and_nothing_else(listening: Interruption, number: signal.Signals) -> None:
    assert not listening.asked
    signal.raise_signal(number)
    assert listening.asked
    assert listening.ended_by is None  # no step has ended since


def test_a_closed_terminal_is_ignored_below_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        interruption = Interruption(watched=False)
        interruption.listen()
        signal.raise_signal(signal.SIGHUP)
        interruption.forget()
        assert not interruption.asked
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_ctrl_c_does_not_wait(listening: Interruption) -> None:
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_watched_process_waits_whatever_comes() -> None:
    interruption = Interruption(watched=True)
    interruption.listen()
    try:
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
        assert interruption.asked
    finally:
        interruption.forget()


def test_outside_of_slurm_there_is_no_queue(slurm: Path) -> None:
    assert requeue_in_slurm(signal.SIGUSR1) is None
    assert not (slurm / "asked").exists()


def test_a_job_is_put_back_at_the_scheduler_s_notice_only(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    assert requeue_in_slurm(signal.SIGTERM) is None
    assert requeue_in_slurm(signal.SIGUSR1) == "job 12 is back in SLURM's queue"
    assert (slurm / "asked").read_text() == "requeue 12\n"


def test_a_task_of_an_array_has_its_own_name(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SLURM_JOB_ID": "12", "SLURM_ARRAY_JOB_ID": "10", "SLURM_ARRAY_TASK_ID": "3"}.items():
        monkeypatch.setenv(name, value)
    assert requeue_in_slurm(signal.SIGUSR1) == "job 10_3 is back in SLURM's queue"


def test_a_refusal_of_the_scheduler_is_told(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    (slurm / "scontrol").write_text("#!/bin/sh\necho not allowed >&2\nexit 1\n")
    assert requeue_in_slurm(signal.SIGUSR1) == "job 12 could not be put back in SLURM's queue: not allowed"
    monkeypatch.setenv("PATH", str(slurm / "nowhere"))
    told = requeue_in_slurm(signal.SIGUSR1)
    assert told is not None
    assert told.startswith("job 12 could not be put back in SLURM's queue: ")


@pytest.mark.parametrize(("count", "expected"), [(None, False), ("", False), ("0", False), ("2", True)])
def test_a_job_knows_that_it_was_started_before(
    slurm: Path, monkeypatch: pytest.MonkeyPatch, count: str | None, expected: bool
) -> None:
    if count is not None:
        monkeypatch.setenv("SLURM_RESTART_COUNT", count)
    assert requeued_in_slurm() is expected


def test_a_count_that_is_no_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_RESTART_COUNT", "odd")
    with pytest.raises(
        SimtrainError, match=r"^SLURM_RESTART_COUNT=odd: the environment of a launcher takes whole numbers"
    ):
        requeued_in_slurm()
