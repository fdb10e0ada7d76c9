"""Reading every image once: facts, order, and only what is new or changed is read again."""

import os
from pathlib import Path

import pytest
from PIL import Image
from recording_console import RecordingConsole

from simtrain.catalog.inspection import reading
from simtrain.catalog.inspection.read_worker import Chunk, read_chunk
from simtrain.catalog.inspection.reading import Reading, ReadingSettings, facts_agree, list_files, read_files
from simtrain.catalog.store.layout import Record, StoreSettings
from simtrain.console import SILENT, Console

RAW = StoreSettings(kind="raw", side=32, quality=95)


def save_grey(path: Path, *, level: int, size: tuple[int, int] = (6, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)
    return path


def save_greys(root: Path, *, count: int) -> list[str]:
    return [save_grey(root / f"{level:03}.png", level=level % 256, size=(level + 1, 2)).name for level in range(count)]


def read(
    root: Path,
    paths: list[str],
    *,
    work: Path,
    known: Reading | None = None,
    workers: int = 1,
    console: Console = SILENT,
) -> Reading:
    work.mkdir(exist_ok=True)
    record = Record(table=known.table, settings=RAW, origin={}) if known is not None else None
    return read_files(
        root,
        list_files(root, paths),
        known=record,
        settings=ReadingSettings(origin=str(root), store=RAW, largest_pixels=10_000, work=work, workers=workers),
        console=console,
    )


def counted_chunks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the files that are read from here on."""
    seen: list[str] = []

    def counting(chunk: Chunk) -> Path:
        seen.extend(file.path for file in chunk.files)
        return read_chunk(chunk)

    monkeypatch.setattr(reading, "read_chunk", counting)
    return seen


@pytest.mark.parametrize("workers", [1, 2])
def test_order_is_kept_whoever_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setattr(reading, "CHUNK_FILES", 16)
    paths = save_greys(tmp_path / "images", count=100)[::-1]
    (tmp_path / "images" / "050.png").write_bytes(b"")
    found = read(tmp_path / "images", paths, work=tmp_path / "work", workers=workers)
    assert found.table["path"].to_pylist() == paths
    assert found.table["width"].to_pylist() == [*range(100, 51, -1), 0, *range(50, 0, -1)]
    assert found.fresh == 100


def test_progress_sees_every_image(tmp_path: Path) -> None:
    console = RecordingConsole()
    read(tmp_path / "images", save_greys(tmp_path / "images", count=3), work=tmp_path / "work", console=console)
    assert console.bars == [("reading images", 3, 3)]


def test_only_new_and_changed_files_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "images"
    first = read(root, save_greys(root, count=6), work=tmp_path / "work")
    for path in (tmp_path / "work").iterdir():
        path.unlink()
    save_grey(root / "002.png", level=99, size=(30, 2))
    os.utime(root / "004.png", ns=(1, 1))
    save_grey(root / "new.png", level=5)
    seen = counted_chunks(monkeypatch)
    paths = ["000.png", "001.png", "002.png", "004.png", "005.png", "new.png"]
    second = read(root, paths, work=tmp_path / "work", known=first)
    assert seen == ["002.png", "004.png", "new.png"]
    assert second.fresh == 3
    assert second.table["width"].to_pylist() == [1, 2, 30, 5, 6, 6]


def test_finished_chunks_of_a_killed_run_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK_FILES", 4)
    root = tmp_path / "images"
    paths = save_greys(root, count=12)
    whole = read(root, paths, work=tmp_path / "one")
    read(root, paths[4:8], work=tmp_path / "two")  # the second of three chunks is all that was finished
    seen = counted_chunks(monkeypatch)
    resumed = read(root, paths, work=tmp_path / "two")
    assert seen == paths[:4] + paths[8:]
    assert resumed.table.equals(whole.table)
    assert {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()
    }


def test_a_file_that_could_not_be_opened_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "images"
    paths = save_greys(root, count=2)
    whole = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "001.png":
            raise PermissionError(13, "Permission denied")
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    first = read(root, paths, work=tmp_path / "one")
    assert first.table["problem"].to_pylist() == [None, "cannot be opened: Permission denied"]
    assert not facts_agree(first.table, list_files(root, paths))
    monkeypatch.undo()
    second = read(root, paths, work=tmp_path / "two", known=first)
    assert second.fresh == 1
    assert second.table["problem"].to_pylist() == [None, None]


def test_facts_agree_with_the_same_files_only(tmp_path: Path) -> None:
    root = tmp_path / "images"
    paths = save_greys(root, count=3)
    table = read(root, paths, work=tmp_path / "work").table
    assert facts_agree(table, list_files(root, paths))
    assert not facts_agree(table, list_files(root, paths[:2]))
    assert not facts_agree(table, list_files(root, paths[::-1]))
    save_grey(root / "000.png", level=1, size=(50, 50))
    assert not facts_agree(table, list_files(root, paths))


def test_interruption_stops_the_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK_FILES", 16)
    paths = save_greys(tmp_path / "images", count=200)

    def interrupt(_number: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read(tmp_path / "images", paths, work=tmp_path / "work", workers=2, console=RecordingConsole(on_item=interrupt))
