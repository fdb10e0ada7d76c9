"""`simtrain doctor`: report on this machine, and equivalence check of several processes with one."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from simtrain.config import RunConfig
from simtrain.data.datasets import worker_count
from simtrain.data.embedding import inference_device
from simtrain.data.embedding_precision import has_bf16_instructions
from simtrain.data.joined_batches import PART_BYTES, shared_bytes
from simtrain.errors import ConfigError
from simtrain.launch.ddp_equivalence import GRADIENT_BOUND, LOSS_BOUND, ProcessEquivalence, compare_processes
from simtrain.launch.launched_comparison import compare_launched
from simtrain.phrases import counted
from simtrain.runs.run import environment
from simtrain.runs.training_speed import measure_training_speed
from simtrain.tables import Alignment, text_table
from simtrain.training.devices import chosen_precision, device_count
from simtrain.training.ranks import SINGLE_PROCESS, Ranks, launched_ranks
from simtrain.training.tracking.wandb import has_credentials

_LITTLE_DISK = 5 * 2**30  # bytes; a few checkpoints and an image store
_LOADED_SECONDS = 5.0
_MARKS = {"good": "", "note": "note: ", "bad": "error: "}
_COLUMNS: list[tuple[str, Alignment]] = [
    ("objective", "left"),
    ("loss", "right"),
    ("gradient", "right"),
    ("metrics", "left"),
    ("verdict", "left"),
]
_EXTRAS = {"timm": "timm", "export": "onnxruntime", "lora": "peft", "tensorboard": "tensorboard", "milvus": "pymilvus"}


@dataclass(frozen=True, kw_only=True)
class MachineCheck:
    """Result of one check of the machine.

    Attributes:
        name: Name of the check, such as `disk`.
        result: Result in words and, for a problem, its remedy.
        state: `good`, `note` (works, but look at it) or `bad` (does not work).
    """

    name: str
    result: str
    state: Literal["good", "note", "bad"]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Results of all checks.

    Attributes:
        checks: Checks of the machine, in the order in which they are shown.
        processes: Number of processes that were compared with one; 1: nothing was compared.
        comparisons: Differences between the processes, one for each objective.
    """

    checks: list[MachineCheck]
    processes: int
    comparisons: list[ProcessEquivalence]

    @property
    def healthy(self) -> bool:
        """Whether nothing is bad and all objectives are equal."""
        return all(check.state != "bad" for check in self.checks) and all(case.equal for case in self.comparisons)

    def __str__(self) -> str:
        """The machine, one line each, and the comparison of several processes with one."""
        lines = [f"{check.name}: {_MARKS[check.state]}{check.result}" for check in self.checks]
        if self.processes == 1:
            return "\n".join([*lines, "one process here; compare several with one: simtrain doctor --devices 2"])
        rows = [
            [
                case.name,
                f"{case.loss:.1e}",
                f"{case.gradient:.1e}",
                "same" if case.metrics else "differ",
                "equal" if case.equal else "DIFFERENT",
            ]
            for case in self.comparisons
        ]
        bounds = f"loss within {LOSS_BOUND:.0e}, gradient within {GRADIENT_BOUND:.0e} of its length, metrics the same"
        return "\n".join([*lines, f"{self.processes} processes against one ({bounds}):", text_table(_COLUMNS, rows)])


def doctor(
    *, devices: int | None, accelerator: str, folder: Path, timeout: int, config: RunConfig | None = None
) -> Diagnosis:
    """Check the machine, and compare several processes with one.

    Args:
        devices: Number of processes to compare, a GPU each where there are GPUs; None: as many as a run would use here.
        accelerator: `auto`, `cpu` or `gpu`.
        folder: Folder that runs will be written to.
        timeout: Seconds after which a process that does not answer is given up.
        config: Run whose pictures and network are timed; None: nothing is timed.

    Where torchrun or srun started several processes, they are compared with one, and each calls it alike.

    Raises:
        ConfigError: for `gpu` where torch sees none, or for more GPUs than there are; it names the argument.
        SimtrainError: if the processes cannot be made to work together, or the run could not begin.
    """
    inference_device(accelerator)
    ranks = launched_ranks() or SINGLE_PROCESS
    if ranks.size > 1:
        return _launched(ranks, devices, accelerator=accelerator, folder=folder, timeout=timeout, config=config)
    count = device_count(devices if devices is not None else "auto", accelerator=accelerator)
    checks = _machine(count, accelerator=accelerator, folder=folder, config=config)
    comparisons = compare_processes(count, accelerator=accelerator, timeout=timeout) if count > 1 else []
    return Diagnosis(checks=checks, processes=count, comparisons=comparisons)


def _launched(
    ranks: Ranks, devices: int | None, *, accelerator: str, folder: Path, timeout: int, config: RunConfig | None
) -> Diagnosis:
    """What the processes that something else started find together, the same on each."""
    if devices is not None:
        problem = f"got {devices}, but {ranks.size} processes were launched, which are compared; leave it out"
        refused = ConfigError(problem, argument="devices")
        refused.told_elsewhere = ranks.rank > 0
        raise refused
    found = compare_launched(
        ranks,
        lambda: _machine(ranks.local_size, accelerator=accelerator, folder=folder, config=config),
        accelerator=accelerator,
        timeout=timeout,
    )
    several = len(found.machines) > 1
    checks = [
        replace(check, name=f"{name}: {check.name}" if several else check.name)
        for name, of_machine in found.machines.items()
        for check in of_machine
    ]
    machines = counted(len(found.machines), "machine")
    result = f"{ranks.size} processes on {machines} add up 64 MB of gradients in {1000 * found.sum_seconds:.0f} ms"
    checks.append(MachineCheck(name="network", result=result, state="good"))
    return Diagnosis(checks=checks, processes=ranks.size, comparisons=found.comparisons)


def _machine(count: int, *, accelerator: str, folder: Path, config: RunConfig | None) -> list[MachineCheck]:
    """The checks of this machine, for so many processes on it."""
    return [
        _versions(),
        *_devices(accelerator),
        _loading(count),
        _shared_memory(count),
        _disk(folder),
        _extras(),
        _wandb(),
        _kaggle(),
        *([] if config is None else [_speed(config)]),
    ]


def _versions() -> MachineCheck:
    known = environment()
    libraries = "  ".join(f"{name} {version}" for name, version in known["libraries"].items())
    result = f"simtrain {known['simtrain']}  python {known['python']}  {platform.system()}  {libraries}"
    return MachineCheck(name="versions", result=result, state="good")


def _devices(accelerator: str) -> list[MachineCheck]:
    if accelerator == "cpu" or not torch.cuda.is_available():
        precision = "32-true, or bf16-mixed where a network is faster in it" if has_bf16_instructions() else "32-true"
        threads = counted(torch.get_num_threads(), "thread")
        result = f"no GPU in use; {threads}, precision auto = {precision}"
        return [MachineCheck(name="devices", result=result, state="good" if accelerator == "cpu" else "note")]
    found = []
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        precision = chosen_precision("auto", device=torch.device("cuda", number))
        result = (
            f"{facts.name}, {facts.total_memory / 2**30:.0f} GB, compute {facts.major}.{facts.minor}, "
            f"precision auto = {precision}, CUDA {torch.version.cuda}"
        )
        found.append(MachineCheck(name=f"GPU {number}", result=result, state="good"))
    if torch.cuda.device_count() > 1 and not torch.distributed.is_nccl_available():
        found.append(
            MachineCheck(name="nccl", result="torch has no nccl: several GPUs cannot train together", state="bad")
        )
    return found


def _loading(count: int) -> MachineCheck:
    workers = worker_count(None, sharing=count)
    each = "" if count == 1 else f" for each of {count} processes"
    result = f"{os.cpu_count()} cores, {workers} loading processes by default{each}"
    return MachineCheck(name="cores", result=result, state="good" if workers > 1 else "note")


def _shared_memory(processes: int) -> MachineCheck:
    """What large batches of all training processes of this machine take in shared memory, against what is free."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return MachineCheck(name="shared memory", result="no /dev/shm on this system", state="note")
    free, workers = shutil.disk_usage(folder).free, worker_count(None, sharing=processes)
    needed = processes * shared_bytes(batch_bytes=PART_BYTES, workers=workers)
    loading = f"{counted(processes * workers, 'loading process', 'loading processes')} keep up to {_gigabytes(needed)}"
    if free >= needed:
        return MachineCheck(name="shared memory", result=f"{_gigabytes(free)} free, {loading} there", state="good")
    fewer = max(1, workers * free // needed)
    result = (
        f"{_gigabytes(free)} free in /dev/shm, and {loading} there: give the container more (--shm-size="
        f"{-(-2 * needed // 2**30)}g), or set data.workers={fewer}"
    )
    return MachineCheck(name="shared memory", result=result, state="note")


def _disk(folder: Path) -> MachineCheck:
    there = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    free = shutil.disk_usage(there).free
    writable = os.access(there, os.W_OK)
    state: Literal["good", "note", "bad"] = "good" if free >= _LITTLE_DISK else "note"
    result = f"{_gigabytes(free)} free at {there}"
    return MachineCheck(
        name="disk", result=result if writable else f"{result}, no write access", state=state if writable else "bad"
    )


def _extras() -> MachineCheck:
    missing = [extra for extra, module in _EXTRAS.items() if importlib.util.find_spec(module) is None]
    if not missing:
        return MachineCheck(name="extras", result="all installed", state="good")
    return MachineCheck(
        name="extras", result=f"not installed: {', '.join(missing)} (pip install 'simtrain[NAME]')", state="good"
    )


def _wandb() -> MachineCheck:
    version = importlib.metadata.version("wandb")
    known = has_credentials(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai"))
    result = "signed in" if known else "no account: runs can be tracked offline and sent later (wandb sync)"
    return MachineCheck(name="Weights & Biases", result=f"{version}, {result}", state="good")


def _kaggle() -> MachineCheck:
    home = Path(os.environ.get("KAGGLE_CONFIG_DIR", Path.home() / ".kaggle"))
    named = "KAGGLE_API_TOKEN" in os.environ or {"KAGGLE_USERNAME", "KAGGLE_KEY"} <= set(os.environ)
    known = named or any((home / name).is_file() for name in ("access_token", "kaggle.json"))
    result = "credentials found" if known else "no credentials: sources kaggle: and digikala cannot be downloaded"
    return MachineCheck(name="Kaggle", result=result, state="good")


def _speed(config: RunConfig) -> MachineCheck:
    found = measure_training_speed(config, seconds=_LOADED_SECONDS)
    return MachineCheck(name="speed", result=str(found), state="note" if found.starves else "good")


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:.1f} GB"
