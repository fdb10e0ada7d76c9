"""Kills of every command that writes, at seeded moments: nothing half, nothing mixed, nothing left, the same result.

    python scripts/bench/kills.py --moments 10 [--verbs "export,index add,publish"] [--seed 0]

Every other moment is before a change of a file or folder, the others are at any time. After each kill the files that
are there are the old or the new ones; after the next call of the same command they are those of an undisturbed one.
Meanwhile another process searches the bundle that is changed again and again: each answer is of the old or the new one.
What `publish` leaves in a Milvus is looked at by searches, as its files are Milvus's own.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from disturbed_worlds import (
    CONTEXT,
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

_COLLECTION = ("--to", "milvus:shop.db", "--collection", "shop")
PUBLISH = Verb(
    name="publish", before=("publish", "bundle", *_COLLECTION), arguments=("publish", "kept", *_COLLECTION), results=()
)


def main() -> None:
    """Make the working folder once; kill each verb; a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--verbs", default="", metavar="A,B,...", help="Default: all that write, but publish.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every-change", action="store_true", help="Kill before each change instead.")
    given = parser.parse_args()
    names = given.verbs.split(",") if given.verbs else []
    verbs = list(verbs_named(",".join(name for name in names if name != "publish"))) if names != ["publish"] else []
    verbs += [PUBLISH] if "publish" in names else []
    with tempfile.TemporaryDirectory(prefix="simtrain-kills-") as folder:
        pristine, log = Path(folder) / "world", Path(folder) / "log"
        make_world(pristine, log=log)
        if PUBLISH in verbs:
            ended = CommandProcess(pristine, PUBLISH.before, log=log).ended()
            assert ended.status == 0, ended.shown
        pristine = pristine.rename(Path(folder) / "pristine")
        print(
            "| verb | kills | earlier results kept | others | reads | faults |\n|---|---|---|---|---|---|", flush=True
        )
        for verb in verbs:
            chance = random.Random(f"{given.seed} {verb.name}")
            print(_kills(verb, pristine, log=log, moments=None if given.every_change else given.moments, chance=chance))
            sys.stdout.flush()


def _kills(verb: Verb, pristine: Path, *, log: Path, moments: int | None, chance: random.Random) -> str:
    folder = renewed(pristine, pristine.with_name("world"))
    old = _state(verb, folder, log)
    began = time.monotonic()
    changes = changes_of(folder, verb, log=log)
    seconds = time.monotonic() - began
    new, outcomes, faults = _state(verb, folder, log), Counter[str](), list[str]()
    for number in range(len(changes) if moments is None else moments):
        renewed(pristine, folder)
        at = number + 1 if moments is None else chance.randint(1, len(changes)) if number % 2 == 0 else None
        after = chance.uniform(0, seconds)
        where = f"after {after:.2f} s" if at is None else f"before {changes[at - 1].replace(str(folder), '')}"
        reader = _Reader(folder, verb, log=log)
        command = CommandProcess(folder, verb.arguments, log=log, disturbance=Disturbance(kill_at=at))
        command.wait(after if at is None else None)
        command.kill()
        outcomes[str(command.ended().status)] += 1
        now = _state(verb, folder, log)
        outcomes["kept"] += all(now.get(path) == content for path, content in old.items())
        found = faults_after_kill(verb, old=old, new=new, now=now)
        next_call = CommandProcess(folder, verb.again(folder), log=log).ended()
        if not verb.is_done(next_call):
            found.append(f"the next call ended with {next_call.status}: {next_call.shown[-300:]}")
        reads, failed = reader.ended()
        outcomes["reads"] += reads
        found += failed
        found += differences(_state(verb, folder, log), new)
        faults += [f"{where}: {fault}" for fault in found]
    kept, reads = outcomes.pop("kept", 0), outcomes.pop("reads", 0)
    kills = sum(outcomes.values())
    lines = "".join(f"\n    {fault}" for fault in faults)
    return f"| {verb.name} | {kills} | {kept} | {kills - kept} | {reads} | {len(faults)} |{lines}"


class _Reader:
    """Searches in the bundle that a verb changes, one after the other, in a process of its own."""

    def __init__(self, folder: Path, verb: Verb, *, log: Path) -> None:
        bundles = [name for name in verb.results if (folder / name / "manifest.json").is_file()]
        self._told, self._stop = log.with_name("reads"), log.with_name("stop")
        self._told.unlink(missing_ok=True)
        self._stop.unlink(missing_ok=True)
        self._process = None
        if bundles:
            arguments = (folder, bundles[0], self._told, self._stop)
            self._process = CONTEXT.Process(target=_read, args=arguments)
            self._process.start()

    def ended(self) -> tuple[int, list[str]]:
        """Number of searches that were answered, and what went wrong with others."""
        if self._process is None:
            return 0, []
        self._stop.touch()
        self._process.join()
        lines = self._told.read_text(encoding="utf-8").splitlines()
        return lines.count("answered"), [f"a reader: {line}" for line in lines if line != "answered"]


def _read(folder: Path, bundle: str, told: Path, stop: Path) -> None:
    from simtrain.api.export import open_bundle

    query = sorted((folder / "pictures").rglob("*.jpg"))[-1]
    with told.open("w", encoding="utf-8", buffering=1) as lines:
        while not stop.exists():
            try:
                found = open_bundle(folder / bundle).search(query, k=2)
                good = len(found) == 2 and abs(found.neighbours[0].similarity - 1) < 1e-3
                print("answered" if good else f"other answer: {found.neighbours}", file=lines)
            except Exception as error:  # whatever a reader meets is a fault
                print(f"{type(error).__name__}: {str(error)[:300]}", file=lines)


def _state(verb: Verb, folder: Path, log: Path) -> dict[str, bytes]:
    """Path -> content of every file; of a Milvus, what searches by each of the two encoders find instead."""
    state = {path: content for path, content in snapshot(folder).items() if "shop.db" not in path}
    if verb is not PUBLISH:
        return state
    query = sorted((folder / "pictures").rglob("*.jpg"))[0].relative_to(folder).as_posix()
    searches = ("--from", "milvus:shop.db", "--collection", "shop", "--image", query, "-k", "100", "--json")
    answers = {}
    for bundle in ("bundle", "kept"):
        ended = CommandProcess(folder, ("search", bundle, *searches), log=log).ended()
        start = ended.shown.find("{")
        hits = json.JSONDecoder().raw_decode(ended.shown, start)[0]["neighbours"] if ended.status == 0 else []
        answers[bundle] = [ended.status, sorted(hit["id"] for hit in hits)]
    return {**state, "published": json.dumps(answers).encode()}


if __name__ == "__main__":
    main()
