"""Consoles: what the silent, the named and the terminal's show, and where."""

import io
import subprocess
import sys
from types import SimpleNamespace

import pytest
from recording_console import RecordingConsole

from simtrain import console
from simtrain.console import SILENT, Console, NamedConsole, Step, TerminalConsole

STEP = Step(epoch=2, epochs=5, batch=3, batches=4, images_per_second=17.6)


class FakeTerminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> FakeTerminal:
    """Standard error from here on; no fixture, because pytest puts its own in place after the fixtures."""
    stream = FakeTerminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return stream


def ticking(monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> None:
    """Each look at the clock is so much later than the one before."""
    ticks = iter(range(10_000))
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: next(ticks) * seconds))


@pytest.mark.parametrize("shown_by", [Console(), SILENT, TerminalConsole(), NamedConsole(SILENT, name="shop")])
def test_a_bar_passes_the_same_items_on(shown_by: Console) -> None:
    items = [object(), object(), object()]
    assert list(shown_by.bar(iter(items), 3, "counting")) == items


def test_silence_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    Console().line("a")
    Console().aside("b")
    Console().step(STEP)
    assert list(Console().bar([1, 2], 2, "counting")) == [1, 2]
    assert tuple(capsys.readouterr()) == ("", "")


def test_lines_go_to_standard_output_and_asides_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    TerminalConsole().line("a result")
    TerminalConsole().aside("a remark")
    assert tuple(capsys.readouterr()) == ("a result\n", "a remark\n")


def test_a_line_is_there_at_once() -> None:
    """Also where a kill follows, and standard output is a pipe."""
    script = (
        "import os, signal; from simtrain.console import TerminalConsole\n"
        "TerminalConsole().line('done'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert killed.stdout == "done\n"


def test_without_a_terminal_a_bar_is_a_line_after_each_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking(monkeypatch, seconds=4.0)
    # Begun at 0. Looked at after items 1 to 3 at 4, 8 and 12, shown and begun anew at 16; then at 20, 24 and 28.
    assert list(TerminalConsole().bar("abcdefg", 7, "reading images")) == list("abcdefg")
    assert tuple(capsys.readouterr()) == ("", "reading images: 3/7\nreading images: 6/7\n")


def test_without_a_terminal_a_short_bar_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(TerminalConsole().bar(range(1000), 1000, "reading images")) == list(range(1000))
    assert tuple(capsys.readouterr()) == ("", "")


def test_without_a_terminal_training_shows_no_steps(capsys: pytest.CaptureFixture[str]) -> None:
    TerminalConsole().step(STEP)
    assert tuple(capsys.readouterr()) == ("", "")


def test_on_a_terminal_a_bar_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    assert list(TerminalConsole().bar(range(3), 3, "reading images")) == [0, 1, 2]
    assert "reading images" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_on_a_terminal_training_shows_how_far_the_epoch_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    shown_by = TerminalConsole()
    shown_by.step(STEP)
    shown_by.close()
    assert "epoch 2/5 18 images/s" in terminal.getvalue()
    assert "3/4" in terminal.getvalue()


@pytest.mark.parametrize("method", ["line", "aside"])
def test_a_line_takes_the_training_bar_away_first(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    terminal = open_terminal(monkeypatch)
    shown_by = TerminalConsole()
    shown_by.step(STEP)
    hides, shows = "\x1b[?25l", "\x1b[?25h"  # the cursor, as long as a bar is there
    assert (terminal.getvalue().count(hides), terminal.getvalue().count(shows)) == (1, 0)
    getattr(shown_by, method)("epoch 2/5  loss 0.5")
    assert terminal.getvalue().count(shows) == 1
    assert "epoch 2/5  loss" not in terminal.getvalue().split(shows)[0]


def test_a_console_without_a_bar_may_be_closed(capsys: pytest.CaptureFixture[str]) -> None:
    TerminalConsole().close()
    assert tuple(capsys.readouterr()) == ("", "")


def test_a_named_console_names_its_bars_alone() -> None:
    inner = RecordingConsole()
    named = NamedConsole(inner, name="alpha 0.5")
    list(named.bar([1, 2], 2, "embedding images"))
    named.line("a")
    named.aside("b")
    named.step(STEP)
    assert inner.bars == [("alpha 0.5: embedding images", 2, 2)]
    assert (inner.lines, inner.asides, inner.steps) == (["a"], ["b"], [STEP])


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, simtrain.console; print([name for name in ('rich', 'torch', 'numpy') if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("back\rover", "back\\rover"),
        ("\x9b2J", "\\x9b2J"),
        ("two\nlines\tand a tab, کفش", "two\nlines\tand a tab, کفش"),
    ],
)
def test_names_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str], name: str, shown: str) -> None:
    TerminalConsole().line(name)
    TerminalConsole().aside(name)
    assert tuple(capsys.readouterr()) == (f"{shown}\n", f"{shown}\n")
