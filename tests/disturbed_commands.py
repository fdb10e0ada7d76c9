"""Every command that writes, on a tiny catalogue and run: killed at an event, or out of space; what is there then."""

import io
import json
import os
import re
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from preloaded_processes import CONTEXT
from small_commands import SMALL_CATALOG, write_config

_CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link"}
_TIMED = re.compile(r"test_readings|(.*_)?(milli)?seconds(_per_query)?|started|finished|resumed|at|checksum")


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A command that writes.

    Attributes:
        name: Its name.
        before: Arguments of the call that made what is there before; none: nothing is there, or another verb's.
        arguments: Of the call that is disturbed.
        results: What belongs together: files and folders below the working folder, which are all old or all new. The
            first is always there; of two files that no system exchanges at once, the second may be missing. None:
            there are steps on a way that the next call goes on.
        done: Words of the error of a call for what is done already; None: it is no error.
    """

    name: str
    before: tuple[str, ...]
    arguments: tuple[str, ...]
    results: tuple[str, ...]
    done: str | None = None

    def is_done(self, ended: "Ended") -> bool:
        """Whether a further call says that there is nothing left to do."""
        return ended.status == 0 or (ended.status == 2 and self.done is not None and self.done in ended.shown)

    def again(self, folder: Path) -> tuple[str, ...]:
        """Arguments of the next call in a working folder."""
        begun = self.name == "fit" and (folder / "checkpoints" / "new").exists()
        return ("fit", "--resume", "new") if begun else self.arguments


_AGAIN = ("prepare", "pictures", "--out", "again", "--set", "workers=1", "--set", "inspection.smallest_side=32")
_RENDERED = ("prepare", "synthetic:4", "--out", "rendered", "--set", "workers=1", "--set", "synthetic.views=2")
_COMPARE = ("compare", "catalog", "--encoders", "histogram_lab,histogram_hsv", "--split", "val")
_COMPARED = (*_COMPARE, "--out", "compared", "--set", "pictures.map_method=pca", "--set", "robustness_images=4")

_SHARDS = ("--out", "embedded", "--shard-size", "16", "--processes", "1")

VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            name="prepare",
            before=(*_AGAIN, "--set", "store.side=40"),
            arguments=(*_AGAIN, "--set", "store.side=44", "--set", "seed=1"),
            results=("again/catalog.parquet",),
        ),
        Verb(
            name="prepare synthetic",
            before=(*_RENDERED, "--set", "synthetic.image_size=48"),
            arguments=(*_RENDERED, "--set", "synthetic.image_size=40"),
            results=("rendered/source", "rendered/catalog.parquet"),
        ),
        Verb(name="fit", before=(), arguments=("fit", "shop.yaml", "--set", "run=new"), results=()),
        Verb(
            name="evaluate",
            before=("evaluate", "shop", "--set", "evaluation.bootstrap_draws=200"),
            arguments=("evaluate", "shop"),
            results=("checkpoints/shop/evaluation.json",),
        ),
        Verb(
            name="compare",
            before=(*_COMPARED, "--set", "draws=1200"),
            arguments=(*_COMPARED, "--set", "draws=1000"),
            results=("compared/comparison.json", "compared/comparison.html"),
        ),
        Verb(
            name="interpolate",
            before=("interpolate", "shop", "--steps", "2"),
            arguments=("interpolate", "shop", "--steps", "3"),
            results=("checkpoints/shop/interpolation.json", "checkpoints/shop/interpolation.png"),
        ),
        Verb(
            name="export",
            before=("export", "shop", "--out", "bundle", "--alpha", "0"),
            arguments=("export", "shop", "--out", "bundle", "--alpha", "1"),
            results=("bundle",),
        ),
        Verb(
            name="index update",
            before=("export", "shop", "--out", "kept", "--alpha", "1"),
            arguments=("index", "update", "kept", "pictures"),
            results=("kept",),
        ),
        Verb(name="index add", before=(), arguments=("index", "add", "kept", "more"), results=("kept",)),
        Verb(
            name="index remove",
            before=(),
            arguments=("index", "remove", "kept", "bookshelf/bookshelf-0002_0.jpg"),
            results=("kept",),
            done="has no item",
        ),
        Verb(
            name="embed",
            before=("embed", "kept", "more", *_SHARDS),
            arguments=("embed", "kept", "pictures", *_SHARDS),
            results=(),
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended: its status (that of a signal is negative), and everything that it printed."""

    status: int
    shown: str


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """What happens to a command.

    Attributes:
        kill_at: Number of the change of a file or folder, from 1, before which it is killed; None: at none.
        largest_file: Bytes that no file may exceed, as on a full disk; None: unlimited.
        trace: File for a line for each change; None: not noted.
    """

    kill_at: int | None = None
    largest_file: int | None = None
    trace: Path | None = None


UNDISTURBED = Disturbance()


class CommandProcess:
    """`simtrain ARGUMENTS` in a process of its own, forked from one that has imported everything.

    Args:
        folder: Working folder.
        arguments: Of the command line.
        log: File for what it prints.
        disturbance: What happens to it.
    """

    def __init__(
        self, folder: Path, arguments: tuple[str, ...], *, log: Path, disturbance: Disturbance = UNDISTURBED
    ) -> None:
        self._log = log
        self._process = CONTEXT.Process(target=_run, args=(folder, arguments, log, disturbance))
        self._process.start()

    def kill(self) -> None:
        """End it without notice, with the processes that it has started."""
        try:
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        except ProcessLookupError:  # it has ended, or has no group of its own yet
            self._process.kill()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for its end; whether it has ended."""
        self._process.join(timeout)
        return self._process.exitcode is not None

    def ended(self) -> Ended:
        """How it ended."""
        self._process.join()
        return Ended(status=int(self._process.exitcode or 0), shown=self._log.read_text(encoding="utf-8"))


def make_world(folder: Path, *, log: Path) -> None:
    """A catalogue, its pictures, a run, and what each verb has written before."""
    folder.mkdir(parents=True)

    def call(*arguments: str) -> None:
        ended = CommandProcess(folder, arguments, log=log).ended()
        assert ended.status == 0, ended.shown

    call("prepare", "synthetic:16", "--out", "catalog", *SMALL_CATALOG)
    shutil.copytree(folder / "catalog" / "source", folder / "pictures")
    (folder / "pictures" / "made_from.json").unlink(missing_ok=True)
    shutil.copytree(folder / "pictures" / "bookshelf", folder / "more")
    trainer = {"epochs": 1, "accelerator": "cpu", "freeze_batch_norm": False}
    config = write_config(folder / "shop.yaml", trainer=trainer)
    call("fit", config.name, "--set", "run=shop")
    best = folder / "checkpoints" / "shop" / "best.ckpt"
    shutil.copy(best.with_name("last.ckpt"), best)  # whether it was better or not
    for verb in VERBS.values():
        if verb.before:
            call(*verb.before)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Path -> content of every file."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def faults_after_kill(verb: Verb, *, old: dict[str, bytes], new: dict[str, bytes], now: dict[str, bytes]) -> list[str]:
    """What is wrong after a kill: files that are neither old nor new, and results of both."""
    if verb.name == "fit":  # a run that goes on: what it has become is seen at its end
        return []
    shown = {path: content for path, content in now.items() if not _is_work(path)}
    faults = [
        f"{path} is neither the old nor the new one"
        for path, content in shown.items()
        if not any(path in state and _same(path, content, state[path]) for state in (old, new))
    ]
    faults += [f"{path} is gone" for path in old if path.startswith(verb.results[:1]) and path not in now]
    results = [path for path in old.keys() | new.keys() if path.startswith(verb.results)]
    changed = [path for path in results if path in shown and not _same(path, old.get(path, b""), new.get(path, b""))]
    states = {"old" if shown[path] == old.get(path) else "new" for path in changed}
    return faults + ["old and new results are mixed"] * (len(states) > 1)


def faults_after_error(
    verb: Verb, ended: Ended, folder: Path, *, old: dict[str, bytes], new: dict[str, bytes]
) -> list[str]:
    """What is wrong after a command that had no space: its status, its words, and what is there."""
    now = snapshot(folder)
    if ended.status == 0:  # it could do without what it could not write
        return differences(now, new)
    lines = [line for line in ended.shown.splitlines() if line.startswith("error: ")]
    faults = [f"status {ended.status}: {ended.shown[-400:]}"] if ended.status != 2 else []
    if len(lines) != 1 or not re.search(r"[\w/.]+: .*(No space left|File too large|disk is full)", lines[0]):
        faults.append(f"told: {lines}")
    if not verb.results:  # a run that goes on, shards that stay
        left = [path for path in now if path.endswith((".tmp", ".old")) or ".tmp/" in path]
        return faults + [f"{path} is left over" for path in left]
    kept = {path: content for path, content in now.items() if "/.prepare/" not in path and not _is_cache(path)}
    before = {path: content for path, content in old.items() if not _is_cache(path)}
    return faults + differences(kept, before)


def differences(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """What differs from the result of an undisturbed command."""
    differing = [
        path
        for path in found
        if path in expected and not _is_cache(path) and not _same(path, found[path], expected[path])
    ]
    return [
        *(f"{path} is left over" for path in sorted(found.keys() - expected.keys())),
        *(f"{path} is missing" for path in sorted(expected.keys() - found.keys())),
        *(f"{path} differs" for path in differing),
    ]


def renewed(pristine: Path, folder: Path) -> Path:
    """The working folder as it was at first."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(pristine, folder, symlinks=True)
    return folder


def _is_cache(path: str) -> bool:
    return "/embeddings/" in path


def _is_work(path: str) -> bool:
    """Whether a file is a command's own: hidden, or of the cache."""
    return _is_cache(path) or any(part.startswith(".") for part in path.split("/"))


def _same(path: str, first: bytes, second: bytes) -> bool:
    return first == second or _timeless(path, first) == _timeless(path, second)


def _timeless(path: str, content: bytes) -> object:
    """What a file holds, without what says when it was made, how long that took and how often it was read."""
    match Path(path).suffix:
        case ".json":
            return _without_times(json.loads(content or b"null"))
        case ".html":
            return re.sub(rb"[0-9.]+", b"#", content)
        case ".csv":
            return content[:1]
        case ".ckpt":
            state = torch.load(io.BytesIO(content), weights_only=True)["state_dict"]
            return {name: value.numpy().tobytes() for name, value in state.items()}
    return content


def _without_times(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_times(value) for key, value in tree.items() if not _TIMED.fullmatch(key)}
    return [_without_times(value) for value in tree] if isinstance(tree, list) else tree


def _run(folder: Path, arguments: tuple[str, ...], log: Path, disturbance: Disturbance) -> None:
    os.setsid()
    os.chdir(folder)
    shown = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(shown, 1)
    os.dup2(shown, 2)
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
    if disturbance.kill_at is not None or disturbance.trace is not None:
        sys.addaudithook(_watching(folder.resolve(), disturbance))
    if disturbance.largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (disturbance.largest_file, disturbance.largest_file))
    sys.argv = ["simtrain", *arguments]
    from simtrain.cli import main

    main()


def _watching(folder: Path, disturbance: Disturbance) -> Callable[[str, tuple[Any, ...]], None]:
    own, count = os.getpid(), iter(range(1, 1_000_000))
    trace = None if disturbance.trace is None else os.open(disturbance.trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if os.getpid() != own or not _changes(event, arguments, folder):
            return
        number = next(count)
        if trace is not None:
            os.write(trace, f"{event} {arguments[0]}\n".encode(errors="replace"))
        if number == disturbance.kill_at:
            os.kill(own, signal.SIGKILL)

    return watch


def _changes(event: str, arguments: tuple[Any, ...], folder: Path) -> bool:
    """Whether an event of Python's audit changes a file or folder below the working folder."""
    if event == "open":
        written = isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    else:
        written = event in _CHANGES
    if not written or not isinstance(arguments[0], str | bytes | os.PathLike):
        return False
    return os.path.abspath(os.fsdecode(arguments[0])).startswith(str(folder))  # noqa: PTH100 - as a text, and quick


def changes_of(folder: Path, verb: Verb, *, log: Path) -> list[str]:
    """What an undisturbed call of a verb changes, a line each, in order."""
    trace = log.with_suffix(".trace")
    trace.unlink(missing_ok=True)
    ended = CommandProcess(folder, verb.arguments, log=log, disturbance=Disturbance(trace=trace)).ended()
    assert ended.status == 0, ended.shown
    return trace.read_text(encoding="utf-8").splitlines()


def verbs_named(names: str) -> Iterator[Verb]:
    """The verbs of a list such as `evaluate,export`; all of an empty one."""
    for name in names.split(",") if names else VERBS:
        yield VERBS[name]
