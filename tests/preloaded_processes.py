"""Processes forked from one that has imported everything: what a fresh one does, without seconds of imports."""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import TextIO

_COMMANDS = ("compare", "embed", "evaluate", "export", "fit", "index", "interpolate", "prepare")
PRELOADED = ["simtrain.cli", *(f"simtrain.commands.{name}" for name in _COMMANDS), "simtrain.encoders.timm"]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(PRELOADED)


class Command:
    """`simtrain ARGUMENTS` in a process of its own.

    Args:
        arguments: Of the command line.
        environment: Variables beside those of the tests.
        own_session: Make it the leader of a session, as a terminal does, whose process group can be signalled.

    Attributes:
        pid: The process, and with a session of its own the group.
        stdout: What it prints, as it comes.
    """

    def __init__(
        self, *arguments: str, environment: Mapping[str, str] | None = None, own_session: bool = False
    ) -> None:
        (shown, show), (told, tell) = (CONTEXT.Pipe(duplex=False) for _ in range(2))
        self._process = CONTEXT.Process(target=_run, args=(arguments, environment or {}, own_session, show, tell))
        self._process.start()
        show.close()
        tell.close()
        self.pid = self._process.pid or 0
        self.stdout, self._stderr = _reader(shown), _reader(told)

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process without notice."""
        self._process.kill()

    def communicate(self) -> tuple[str, str]:
        """What it printed from here on, and what it told on standard error, once it has ended."""
        texts = self.stdout.read(), self._stderr.read()
        self._process.join()
        return texts

    @property
    def status(self) -> int:
        """Exit status after the end; that of a signal is negative."""
        assert self._process.exitcode is not None
        return self._process.exitcode


def _reader(connection: Connection) -> TextIO:
    with connection:
        return os.fdopen(os.dup(connection.fileno()), encoding="utf-8")


def _run(
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
    own_session: bool,
    show: Connection,
    tell: Connection,
) -> None:
    if own_session:
        os.setsid()
    os.environ.update(environment)
    for connection, number in ((show, 1), (tell, 2)):
        os.dup2(connection.fileno(), number)
        connection.close()
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
    sys.argv = ["simtrain", *arguments]
    from simtrain.cli import main

    main()
