"""What is removed from a cache that has grown too large, and when nothing is."""

import os
from pathlib import Path

from simtrain.data.cache_eviction import OpenFolder, note_use


def files(folder: Path) -> list[Path]:
    """Four files of 10 bytes, the first used the longest ago."""
    paths = [folder / str(number) for number in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes(10))
        os.utime(path, (1000 + number, 1000 + number))
    return paths


def test_the_least_recently_used_go_until_the_rest_fits(tmp_path: Path) -> None:
    OpenFolder(tmp_path).evict(files(tmp_path), largest=25)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3"]


def test_a_use_counts_and_not_the_age(tmp_path: Path) -> None:
    paths = files(tmp_path)
    note_use([paths[0], tmp_path / "gone"])
    OpenFolder(tmp_path).evict(paths, largest=20)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "3"]


def test_nothing_goes_while_somebody_has_it_open(tmp_path: Path) -> None:
    paths = files(tmp_path)
    reader = OpenFolder(tmp_path)
    reader.evict(paths, largest=40)
    OpenFolder(tmp_path).evict(paths, largest=0)
    assert len(list(tmp_path.iterdir())) == 4
    del reader
    OpenFolder(tmp_path).evict(paths, largest=0)
    assert [path.name for path in tmp_path.iterdir()] == ["3"]  # what was used last stays, however large
