"""Recall, latency and size of the index that `export` chooses, beside Flat and, where it is installed, autofaiss.

    python scripts/bench/index.py [--embeddings FILE] [--autofaiss PYTHON]   # 100,000 x 512, or --items N
    python scripts/bench/index.py --large                                    # 1,000,000 x 128, peak memory

FILE holds real embeddings as the tensor `vectors` of safetensors: one in a catalogue's `embeddings/`, or a bundle's.
Each item is one of them, reduced to the wanted dimensions, moved along the difference between two others by 0.1 to 0.5
of it. Without a file they are products in clusters in clusters with variances of 1/rank. Queries are made as items are,
and are in no index. PYTHON is an interpreter that has autofaiss and faiss; it may use 0.45 of Flat's bytes.
"""

import argparse
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from simtrain.serving.index_building import build_index
from simtrain.serving.index_factory import chosen_factory
from simtrain.serving.stored_vectors import map_vectors, write_vectors

QUERIES, TIMED, DEPTH, BLOCK = 1000, 200, 10, 50_000
PATIENCE = 900
"""Seconds that autofaiss may take."""
Rows = NDArray[np.float32]

AUTOFAISS = """
import json, sys, time
from autofaiss import build_index
begun = time.time()
build_index(sys.argv[1], index_path=sys.argv[2], index_infos_path=sys.argv[3], metric_type="ip", nb_cores=2,
            max_index_memory_usage=sys.argv[4], max_index_query_time_ms=1, current_memory_available="8GB", verbose=40)
print(time.time() - begun)
"""


def unit(rows: NDArray[np.floating]) -> Rows:
    """Rows of length 1."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def jittered(real: Rows, *, dimensions: int) -> Callable[[int, int], Rows]:
    """(count, seed) -> items around real embeddings."""
    centre = real - real.mean(axis=0)
    axes = np.linalg.svd(centre, full_matrices=False)[2][:dimensions]
    base = unit(real @ axes.T)

    def make(count: int, seed: int) -> Rows:
        rng = np.random.default_rng(seed)
        which, one, other = rng.integers(0, len(base), size=(3, count))
        return unit(base[which] + rng.uniform(0.1, 0.5, size=(count, 1)) * (base[one] - base[other]))

    return make


def clustered(dimensions: int) -> Callable[[int, int], Rows]:
    """(count, seed) -> items of products of kinds; the same products whatever the seed."""
    rng = np.random.default_rng(0)
    scale = np.arange(1, dimensions + 1) ** -0.5
    kinds = rng.standard_normal((500, dimensions)) * scale
    products = kinds[rng.integers(0, 500, 20_000)] + 0.7 * rng.standard_normal((20_000, dimensions)) * scale

    def make(count: int, seed: int) -> Rows:
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((count, dimensions)).astype(np.float32) * scale.astype(np.float32)
        return unit(products[rng.integers(0, len(products), count)] + 0.4 * noise)

    return make


def recall(found: list[NDArray[np.int64]], items: Rows, queries: Rows) -> float:
    """Share of the true ten, by a whole product of matrices."""
    hits = 0
    for start in range(0, len(queries), 100):
        truth = np.argpartition(-(queries[start : start + 100] @ items.T), DEPTH, axis=1)[:, :DEPTH]
        hits += sum(len(set(a.tolist()) & set(b.tolist())) for a, b in zip(truth, found[start:], strict=False))
    return hits / (DEPTH * len(queries))


def milliseconds(searches: dict[str, Callable[[Rows], object]], queries: Rows) -> dict[str, float]:
    """Median processor time of single searches by one thread, which take turns."""
    taken: dict[str, list[float]] = {name: [] for name in searches}
    faiss.omp_set_num_threads(1)
    for query in queries[:TIMED]:
        for name, search in searches.items():
            search(query[None])
            begun = time.thread_time()
            search(query[None])
            taken[name].append(time.thread_time() - begun)
    return {name: 1000 * float(np.median(values)) for name, values in taken.items()}


def side_by_side(
    make: Callable[[int, int], Rows], *, count: int, dimensions: int, autofaiss: str | None, folder: Path
) -> None:
    """Items in Flat, `auto` and autofaiss."""
    items, queries = make(count, 1), make(QUERIES, 2)
    flat = build_index(items, factory="Flat", wanted_recall=0.99).index
    begun = time.perf_counter()
    write_vectors(folder / "vectors", items, order=range(count), stored_as="float32")
    factory = chosen_factory(count=count, dimensions=dimensions, memory_mib=None)
    auto = build_index(map_vectors(folder / "vectors", sha256=None), factory=factory, wanted_recall=0.99)
    seconds = time.perf_counter() - begun
    searches: dict[str, Callable[[Rows], object]] = {
        "Flat": lambda query: flat.search(query, k=DEPTH),
        "auto": lambda query: auto.index.search(query, k=DEPTH),
    }
    found = {"auto": [rows for rows, _ in auto.index.search(queries, k=DEPTH)]}
    auto.index.save(folder / "auto")
    flat.save(folder / "Flat")
    if autofaiss is not None:
        (folder / "items").mkdir()
        np.save(folder / "items" / "items.npy", items)
        arguments = [str(folder / "items"), str(folder / "autofaiss"), str(folder / "infos.json")]
        memory = f"{int(0.45 * items.nbytes / 2**20)}MB"
        command = [autofaiss, "-c", AUTOFAISS, *arguments, memory]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
            built = done.returncode == 0
            print("autofaiss:", (done.stdout.split() or [done.stderr[-500:]])[-1], "s;", end=" ")
            print(json.loads((folder / "infos.json").read_text()) if built else "failed")
        except subprocess.TimeoutExpired:
            built = False
            print(f"autofaiss: not done in {PATIENCE} s")
        if built:
            other = faiss.read_index(str(folder / "autofaiss"))
            searches["autofaiss"] = lambda query: other.search(query, DEPTH)
            found["autofaiss"] = list(other.search(queries, DEPTH)[1])
    times, size = milliseconds(searches, queries), (folder / "Flat").stat().st_size
    print(f"auto: {factory}, {auto.settings}, built in {seconds:.0f} s; its own recall {auto.recall:.4f}, of codes "
          f"{auto.recall_of_codes:.4f}")  # fmt: skip
    for name, taken in times.items():
        reached = recall(found[name], items, queries) if name in found else 1.0
        part = (folder / name).stat().st_size / size
        print(
            f"{name}: recall@10 {reached:.4f}, {taken:.3f} ms of a processor, {times['Flat'] / taken:.1f} x faster",
            end="",
        )
        print(f", {part:.3f} of Flat's bytes")
    same = [np.isin(a, b).all() for (a, _), (b, _) in zip(auto.index.search(queries, k=1), flat.search(queries, k=1),
                                                          strict=True)]  # fmt: skip
    print(f"the first of auto is the first of Flat: {np.mean(same):.4f}")


def large(make: Callable[[int, int], Rows], *, dimensions: int, folder: Path) -> None:
    """1,000,000 items, made in blocks into a file, and the peak of memory."""
    count = 1_000_000
    path = folder / "items"
    items = np.memmap(path, dtype=np.float32, mode="w+", shape=(count, dimensions))
    for start in range(0, count, BLOCK):
        items[start : start + BLOCK] = make(BLOCK, 10 + start)
    factory = chosen_factory(count=count, dimensions=dimensions, memory_mib=None)
    begun = time.perf_counter()
    built = build_index(items, factory=factory, wanted_recall=0.99)
    seconds = time.perf_counter() - begun
    built.index.save(folder / "index")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    size = (folder / "index").stat().st_size / count
    print(
        f"{count} x {dimensions}: {factory}, {built.settings}, recall {built.recall:.4f}, {built.milliseconds:.3f} ms"
    )
    print(f"{size:.0f} bytes a vector, built in {seconds:.0f} s, peak of the process {peak:.2f} GiB")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embeddings", type=Path)
    parser.add_argument("--autofaiss", metavar="PYTHON")
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--large", action="store_true")
    chosen = parser.parse_args()
    dimensions = 128 if chosen.large else 512
    real = None if chosen.embeddings is None else load_file(chosen.embeddings)["vectors"].astype(np.float32)
    make = clustered(dimensions) if real is None else jittered(real, dimensions=dimensions)
    with tempfile.TemporaryDirectory() as folder:
        if chosen.large:
            large(make, dimensions=dimensions, folder=Path(folder))
        else:
            side_by_side(
                make, count=chosen.items, dimensions=dimensions, autofaiss=chosen.autofaiss, folder=Path(folder)
            )


if __name__ == "__main__":
    main()
