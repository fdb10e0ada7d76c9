"""Signals that ask a run to end."""

import signal

_ON_UNIX = ("SIGUSR1", "SIGHUP")


def asking_signals() -> list[signal.Signals]:
    """The signals that ask a run to end; SIGHUP, of a closed terminal, only where nohup does not have it ignored."""
    asking = [signal.SIGTERM, signal.SIGINT, *(getattr(signal, name) for name in _ON_UNIX if hasattr(signal, name))]
    hangup = getattr(signal, "SIGHUP", None)
    return [number for number in asking if number != hangup or signal.getsignal(number) != signal.SIG_IGN]
