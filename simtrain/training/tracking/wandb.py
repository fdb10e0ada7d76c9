"""Weights & Biases tracker; the one place that imports `wandb`, and only when a run begins.

Training never waits for it long and never fails for it: whatever its client raises is told once.
"""

import json
import os
import secrets
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
from pytorch_lightning.utilities.exceptions import SIGTERMException

from simtrain.console import Console
from simtrain.errors import first_line
from simtrain.files import write_whole
from simtrain.training.file_names import BEST
from simtrain.training.tracking.embedding_statistics import HISTOGRAM_EDGES
from simtrain.training.tracking.worst_queries import TrackedImage, TrackedQuery

IDENTITY_FILE = "wandb.json"
_PROJECT = "simtrain"
_SECONDS_TO_BEGIN = 10
_SECONDS_TO_END = 30
_CREDENTIALS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")


@dataclass(frozen=True, kw_only=True)
class WandbSettings:
    """Settings of the W&B tracker.

    Attributes:
        mode: `online` falls back to `offline` where there is no account or no network.
        project: W&B project that the run appears in; None: that of `WANDB_PROJECT`, or `simtrain`.
        entity: W&B user or team; None: the account's own.
        tags: Tags of the run.
        model_artifact: Keep `best.ckpt` as an artifact when the run has ended well.
    """

    mode: Literal["offline", "online"]
    project: str | None
    entity: str | None
    tags: tuple[str, ...]
    model_artifact: bool


class WandbTracker:
    """One run of W&B; a resumed run goes on with the same id, which is in `wandb.json`.

    Args:
        settings: The user's settings.
        folder: The run's folder; everything is written below it.
        name: Name of the run.
        config: Configuration that W&B shows for the run, as plain values.
        console: Shows each line.
    """

    def __init__(
        self,
        *,
        settings: WandbSettings,
        folder: Path,
        name: str,
        config: Mapping[str, Any],
        console: Console,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._name = name
        self._config = dict(config)
        self._console = console
        self._run: Any = None

    def begin(self, *, step: int) -> None:
        """Open the run within a bounded time, online or below the run's folder."""
        # Before the import. A user's own choice counts.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        os.environ.setdefault("WANDB_SILENT", "true")
        if os.environ.get("WANDB_MODE", "").lower() == "disabled":
            self._console.line("wandb: WANDB_MODE=disabled: nothing is written for it")
            return
        try:
            identity = _identity(self._folder / IDENTITY_FILE)
            why_offline = self._begin_online(identity) if self._settings.mode == "online" else ""
            if self._run is None:
                self._run = self._open(identity, mode="offline")
                self._console.line(
                    f"wandb: offline{why_offline}; send the run later with: {self._sync_command(identity['id'])}"
                )
            else:
                self._console.line(f"wandb: {self._run.url}")
            self._run.define_metric("step")
            self._run.define_metric("*", step_metric="step")
        except Exception as error:  # whatever the client raises
            self._give_up(error)

    def figures(self, values: Mapping[str, float], *, step: int) -> None:
        """A curve for each name."""
        self._do(lambda run: run.log({**values, "step": step}))

    def histograms(self, values: Mapping[str, tuple[int, ...]], *, step: int) -> None:
        """A distribution for each name."""

        def log(run: Any) -> None:
            import wandb

            edges = np.asarray(HISTOGRAM_EDGES)
            found = {name: wandb.Histogram(np_histogram=(np.asarray(bins), edges)) for name, bins in values.items()}
            run.log({**found, "step": step})

        self._do(log)

    def queries(self, queries: Sequence[TrackedQuery], *, step: int) -> None:
        """A table: one row per query, its nearest images beside it."""

        def log(run: Any) -> None:
            import wandb

            most = max(len(query.neighbours) for query in queries)
            table = wandb.Table(
                columns=["id", "average_precision", "query", *(f"neighbour_{place + 1}" for place in range(most))]
            )
            for query in queries:
                cells = [wandb.Image(image.thumbnail, caption=_caption(image)) for image in query.neighbours]
                image = wandb.Image(query.image.thumbnail, caption=query.image.name)
                empty = [None] * (most - len(cells))
                table.add_data(query.image.name, query.average_precision, image, *cells, *empty)
            with _staged_below(self._folder):
                run.log({"worst_queries": table, "step": step})

        self._do(log)

    def end(self, failure: BaseException | None) -> None:
        """Finish the run, with `best.ckpt` if that is asked for and nothing has failed."""

        def finish(run: Any) -> None:
            if isinstance(failure, SIGTERMException):
                run.mark_preempting()
            if failure is None and self._settings.model_artifact:
                self._keep_model(run)
            run.finish(exit_code=0 if failure is None else 1)

        self._do(finish)
        self._run = None

    def _begin_online(self, identity: Mapping[str, str]) -> str:
        """Try to; what to tell where it does not go."""
        import wandb

        if not has_credentials(str(wandb.setup().settings.base_url)):
            return " (there is no account on this machine: wandb login)"  # its client would ask on a terminal, and wait
        try:
            self._run = self._open(identity, mode="online")
        except Exception as error:  # whatever the client raises
            wandb.teardown()  # its service holds the id of the run that did not begin
            return f" ({first_line(error)})"
        return ""

    def _open(self, identity: Mapping[str, str], *, mode: Literal["offline", "online"]) -> Any:
        import wandb

        wanted: dict[str, Any] = {
            "console": "off",
            "silent": True,
            "init_timeout": _SECONDS_TO_BEGIN,
            "login_timeout": _SECONDS_TO_BEGIN,
            "finish_timeout": _SECONDS_TO_END,
            "finish_timeout_raises": True,
            "disable_git": True,  # `run.json` holds the commit; a diff of somebody's folder is nobody's business
            "disable_code": True,
            "symlink": False,
        }
        known = {name: value for name, value in wanted.items() if name in wandb.Settings.model_fields}  # by version
        return wandb.init(
            dir=str(self._folder),
            id=identity["id"],
            name=self._name,
            project=self._settings.project or os.environ.get("WANDB_PROJECT") or _PROJECT,
            entity=self._settings.entity,
            tags=self._settings.tags,
            config=self._config,
            mode=mode,
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(**known),
        )

    def _sync_command(self, identity: str) -> str:
        """Of a resumed run all parts at once: alone, a later part replaces those before it on the server."""
        own = Path(self._run.dir).parent
        found = sorted(self._folder.glob(f"wandb/offline-run-*-{identity}"), key=lambda path: path.name)
        earlier = [path for path in found if path.resolve() != own.resolve()]
        parts = [shlex.quote(str(path)) for path in (*earlier, own)]
        command = f"wandb sync {' '.join(parts)}"
        if not earlier:
            return command
        older = " && ".join(f"wandb sync {'--append ' if place else ''}{part}" for place, part in enumerate(parts))
        return f"{command} (all parts in one command; with a wandb that knows --append: {older})"

    def _keep_model(self, run: Any) -> None:
        import wandb

        artifact = wandb.Artifact(f"model-{run.id}", type="model")
        path = (self._folder / BEST).resolve()  # sent later from wherever the user then is
        artifact.add_file(str(path), name=BEST, policy="immutable", skip_cache=True)  # no second copy on the disk
        run.log_artifact(artifact)

    def _do(self, act: Callable[[Any], None]) -> None:
        if self._run is None:
            return
        try:
            act(self._run)
        except Exception as error:  # whatever the client raises
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        where = f"; its files are in {Path(self._run.dir).parent}" if self._run is not None else ""
        self._run = None
        self._console.line(f"wandb: {first_line(error)}; the run goes on without it{where}")


def has_credentials(base_url: str) -> bool:
    """Whether this machine has a key for the W&B server at `base_url`; nothing is sent and nobody is asked."""
    if any(os.environ.get(name) for name in _CREDENTIALS):
        return True
    host = urlsplit(base_url).netloc
    chosen = os.environ.get("NETRC")
    for path in [Path(chosen)] if chosen else [Path.home() / ".netrc", Path.home() / "_netrc"]:
        try:
            if netrc(path.expanduser()).authenticators(host) is not None:
                return True
        except (OSError, NetrcParseError):
            continue
    return False


@contextmanager
def _staged_below(folder: Path) -> Iterator[None]:
    """Pictures that wait to be sent belong to the run; its client would put them in the user's home."""
    name = "WANDB_DATA_DIR"
    if name in os.environ:
        yield
        return
    os.environ[name] = str((folder / "wandb").resolve())
    try:
        yield
    finally:
        del os.environ[name]


def _identity(path: Path) -> dict[str, str]:
    """The id that W&B knows the run by; written before W&B is asked, so that a kill cannot lose it."""
    if path.exists():
        found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return found
    identity = {"id": secrets.token_hex(4)}
    write_whole(path, f"{json.dumps(identity)}\n".encode())
    return identity


def _caption(image: TrackedImage) -> str:
    return f"{image.name} ({'relevant' if image.relevant else 'not relevant'})"
