"""Every command that writes on a disk that fills while it writes: one line, nothing half, the same result afterwards.

    python scripts/bench/full_disks.py [--verbs evaluate,export]      (Linux, root or user namespaces)

The working folder is a tmpfs. An undisturbed call shows how much space it takes at most; then it gets a share of that.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from disturbed_worlds import (
    CommandProcess,
    Verb,
    differences,
    faults_after_error,
    make_world,
    renewed,
    snapshot,
    verbs_named,
)

SHARES = (0.1, 0.5, 0.9)
_PAGE = 4096
_FEW = 4 * _PAGE  # of a command whose files are so small that new ones fit where old ones were
_ENOUGH = 1 << 30
_OWN_MOUNTS = "SIMTRAIN_OWN_MOUNTS"


def main() -> None:
    """Make the working folder once, on a tmpfs; fill it at three moments of each verb; a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verbs", default="", metavar="A,B,...", help="Default: all that write.")
    given = parser.parse_args()
    if _OWN_MOUNTS not in os.environ:  # mounts of our own, which end with this process
        unshare = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() != 0 else [])]
        os.execvpe(unshare[0], [*unshare, sys.executable, *sys.argv], {**os.environ, _OWN_MOUNTS: "1"})
    with tempfile.TemporaryDirectory(prefix="simtrain-full-") as folder:
        disk, pristine, log = Path(folder) / "disk", Path(folder) / "pristine", Path(folder) / "log"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_ENOUGH}", "none", str(disk)], check=True)
        try:
            make_world(disk / "world", log=log)
            renewed(disk / "world", pristine)
            print("| verb | KiB at most | statuses | faults |\n|---|---|---|---|", flush=True)
            for verb in verbs_named(given.verbs):
                print(_fills(verb, pristine, disk / "world", log=log), flush=True)
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _fills(verb: Verb, pristine: Path, world: Path, *, log: Path) -> str:
    old = snapshot(pristine)
    peak = _peak(verb, renewed(pristine, world), log=log)
    new, statuses, faults = snapshot(world), list[int](), list[str]()
    for share in SHARES:
        renewed(pristine, world)
        _leave(world, int(peak * share) // _PAGE * _PAGE)
        ended = CommandProcess(world, verb.arguments, log=log).ended()
        statuses.append(ended.status)
        found = faults_after_error(verb, ended, world, old=old, new=new)
        if verb.name == "prepare" and ended.status == 0:  # as it says, with a smaller image store or none
            found = []
        _leave(world, _ENOUGH)
        last = ended.shown.strip().splitlines()[-1:]
        again = CommandProcess(world, verb.again(world), log=log).ended()
        if again.status != 0:
            found.append(f"the next call ended with {again.status}: {again.shown[-300:]}")
        found += differences(snapshot(world), new)
        faults += [f"{share:.0%}: {fault}" for fault in found] + [f"{share:.0%} (no fault): {line}" for line in last]
    count = sum("(no fault)" not in fault for fault in faults)
    lines = "".join(f"\n    {fault.replace(str(world), '')}" for fault in faults)
    return f"| {verb.name} | {peak // 1024} | {statuses} | {count} |{lines}"


def _peak(verb: Verb, world: Path, *, log: Path) -> int:
    """The most bytes that an undisturbed call takes beyond what is there."""
    before = most = _used(world)
    command = CommandProcess(world, verb.arguments, log=log)
    while not command.wait(0.002):
        most = max(most, _used(world))
    assert command.ended().status == 0, command.ended().shown
    return max(most - before, _used(world) - before, _FEW)


def _used(folder: Path) -> int:
    space = os.statvfs(folder)
    return (space.f_blocks - space.f_bfree) * space.f_frsize


def _leave(folder: Path, free: int) -> None:
    size = _used(folder) + free
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder.parent)], check=True)


if __name__ == "__main__":
    main()
