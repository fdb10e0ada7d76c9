"""Kills of every command that writes, at seeded moments: nothing half, nothing mixed, nothing left, the same result.

    python scripts/bench/kills.py --moments 10 [--verbs evaluate,export] [--seed 0]

Every other moment is before a change of a file or folder, the others are at any time. After each kill the files that
are there are the old or the new ones; after the next call of the same command they are those of an undisturbed one.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", NO_ALBUMENTATIONS_UPDATE="1", WANDB_MODE="offline")

from disturbed_commands import (  # noqa: E402 - of the tests, whose folder is on the path now
    CommandProcess,
    Disturbance,
    Verb,
    changes_of,
    differences,
    faults_after_kill,
    make_world,
    renewed,
    snapshot,
    verbs_named,
)


def main() -> None:
    """Make the working folder once; kill each verb; a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--verbs", default="", metavar="A,B,...", help="Default: all that write.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every-change", action="store_true", help="Kill before each change instead.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="simtrain-kills-") as folder:
        pristine, log = Path(folder) / "world", Path(folder) / "log"
        make_world(pristine, log=log)
        pristine = pristine.rename(Path(folder) / "pristine")
        print("| verb | kills | earlier results kept | others | faults |\n|---|---|---|---|---|", flush=True)
        for verb in verbs_named(given.verbs):
            chance = random.Random(f"{given.seed} {verb.name}")
            print(_kills(verb, pristine, log=log, moments=None if given.every_change else given.moments, chance=chance))
            sys.stdout.flush()


def _kills(verb: Verb, pristine: Path, *, log: Path, moments: int | None, chance: random.Random) -> str:
    folder = pristine.with_name("world")
    old = snapshot(pristine)
    began = time.monotonic()
    changes = changes_of(renewed(pristine, folder), verb, log=log)
    seconds = time.monotonic() - began
    new, outcomes, faults = snapshot(folder), Counter[str](), list[str]()
    for number in range(len(changes) if moments is None else moments):
        renewed(pristine, folder)
        at = number + 1 if moments is None else chance.randint(1, len(changes)) if number % 2 == 0 else None
        after = chance.uniform(0, seconds)
        where = f"after {after:.2f} s" if at is None else f"before {changes[at - 1].replace(str(folder), '')}"
        command = CommandProcess(folder, verb.arguments, log=log, disturbance=Disturbance(kill_at=at))
        command.wait(after if at is None else None)
        command.kill()
        outcomes[str(command.ended().status)] += 1
        now = snapshot(folder)
        earlier = [path for path in old if path.startswith(verb.results or "?")]
        outcomes["kept"] += all(now.get(path) == old[path] for path in earlier)
        found = faults_after_kill(verb, old=old, new=new, now=now)
        next_call = CommandProcess(folder, verb.again(folder), log=log).ended()
        if next_call.status != 0:
            found.append(f"the next call ended with {next_call.status}: {next_call.shown[-300:]}")
        found += differences(snapshot(folder), new)
        faults += [f"{where}: {fault}" for fault in found]
    kills = sum(outcomes.values()) - outcomes["kept"]
    lines = "".join(f"\n    {fault}" for fault in faults)
    return f"| {verb.name} | {kills} | {outcomes['kept']} | {kills - outcomes['kept']} | {len(faults)} |{lines}"


if __name__ == "__main__":
    main()
