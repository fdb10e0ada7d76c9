"""Mutations of every file that commands read, many of them: no traceback, no signal, bounded memory.

    python scripts/bench/fuzz.py --mutations 2000 [--only run.json]
    python scripts/bench/fuzz.py --bundles 10000 [--memory 2147483648]

Each file is mutated so often by a seeded generator, and read by the real command line in a process whose memory is
limited; a process that a signal ends is told with the seed that it ended at. With `--bundles` whole bundles are mutated
instead, half of them with right hashes, as an attacker would give them, and it is seen whether anything ran.
"""

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def run(*arguments: str) -> tuple[int, str, str]:
    """The command line in this process: exit status, standard output, standard error."""
    from simtrain import cli

    sys.argv = ["simtrain", *arguments]
    shown, aside, status = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(shown), redirect_stderr(aside):
        try:
            cli.main()
        except SystemExit as leaving:
            status = int(leaving.code or 0)
    return status, shown.getvalue(), aside.getvalue()


def fuzz_one(place: int, first: int, count: int, limit: int) -> None:
    """Mutate one file `count` times; a line of JSON for each fault, and one at the end."""
    from fuzzed_artifacts import targets, try_mutation

    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    target, statuses = targets()[place], dict[int, int]()
    for seed in range(first, first + count):
        print(json.dumps({"begun": seed}), flush=True)
        began = time.monotonic()
        status, shown = try_mutation(target, seed, run)
        statuses[status] = statuses.get(status, 0) + 1
        slow = time.monotonic() - began > 30
        if status not in (0, 2) or "Traceback" in shown or slow:
            print(json.dumps({"seed": seed, "status": status, "slow": slow, "shown": shown[-600:]}), flush=True)
    print(json.dumps({"statuses": statuses, "peak_mib": _memory("VmHWM") // 2**20}), flush=True)


def fuzz_bundles(first: int, count: int, limit: int) -> None:
    """Mutate bundles and read them; a line of JSON for each fault, and one at the end."""
    from fuzzed_bundles import Watch, try_bundle

    warm = run("search", "flat", "--image", str(sorted(Path("catalog/source").rglob("*.jpg"))[0]), "--json")
    assert warm[0] == 0, warm
    watch, statuses = Watch(), dict[int, int]()
    watch.start()
    mapped = _memory("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (mapped + limit, mapped + limit))  # beyond what libraries have mapped
    for seed in range(first, first + count):
        print(json.dumps({"begun": seed}), flush=True)
        began = time.monotonic()
        status, shown, ran = try_bundle(seed, run, watch)
        statuses[status] = statuses.get(status, 0) + 1
        slow = time.monotonic() - began > 120
        if status not in (0, 2) or "Traceback" in shown or slow or ran:
            told = {"seed": seed, "status": status, "slow": slow, "ran": ran, "shown": shown[-600:]}
            print(json.dumps(told), flush=True)
    print(json.dumps({"statuses": statuses, "peak_mib": _memory("VmHWM") // 2**20}), flush=True)


def _memory(name: str) -> int:
    """Bytes, by a name of Linux; getrusage counts the parent's before exec too."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def main() -> None:
    """Make the files once, then mutate each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--bundles", type=int, default=0, help="Whole bundles instead of files.")
    parser.add_argument(
        "--memory",
        type=int,
        default=None,
        help="Bytes of address space; torch alone maps 6 GB. Default: 12 GiB; 2 GiB more than mapped for bundles.",
    )
    parser.add_argument("--place", type=int, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.place is not None and given.place < 0:
        fuzz_bundles(given.first, given.mutations, given.memory or 2 * 2**30)
        return
    if given.place is not None:
        fuzz_one(given.place, given.first, given.mutations, given.memory or 12 * 2**30)
        return
    from fuzzed_artifacts import make_artifacts, targets
    from fuzzed_bundles import make_bundles

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        if given.bundles:
            make_bundles(run)
            began = time.monotonic()
            lines = _in_process(-1, given.first, given.bundles, given.memory)
            print(f"bundles: {lines} in {time.monotonic() - began:.0f} s", flush=True)
            return
        make_artifacts(run)
        for place, target in enumerate(targets()):
            if given.only in target.file:
                began = time.monotonic()
                lines = _in_process(place, given.first, given.mutations, given.memory)
                print(f"{target.file}: {lines} in {time.monotonic() - began:.0f} s", flush=True)


def _in_process(place: int, first: int, count: int, memory: int | None) -> str:
    """What a process found, begun again after a seed that killed it."""
    faults, end, last = [], {"statuses": {}, "peak_mib": 0}, first + count
    while first < last:
        command = [sys.executable, __file__, "--place", str(place), "--first", str(first), "--mutations"]
        bounds = [] if memory is None else ["--memory", str(memory)]
        done = subprocess.run([*command, str(last - first), *bounds], capture_output=True, text=True, check=False)
        told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        faults += [line for line in told if "seed" in line]
        end = next((line for line in told if "statuses" in line), end)
        if done.returncode == 0:
            break
        first = max((line["begun"] for line in told if "begun" in line), default=first) + 1
        faults.append({"seed": first - 1, "ended": done.returncode, "shown": done.stderr[-600:]})
    shown = "".join(f"\n  {fault}" for fault in faults[:20])
    return f"{count} mutations, statuses {end['statuses']}, peak {end['peak_mib']} MiB, {len(faults)} faults{shown}"


if __name__ == "__main__":
    main()
