"""Both files of a comparison are new, or both are as they were."""

import errno
from pathlib import Path

import pytest
from tiny_comparison import jpeg, tiny_comparison

from simtrain import files as writing
from simtrain.comparison import files
from simtrain.comparison.files import write_comparison
from simtrain.errors import CheckpointError


@pytest.mark.parametrize("full_for", ["comparison.json", "comparison.html"])
def test_a_disk_that_takes_one_of_them_only_keeps_both_old_ones(
    full_for: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bytes = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name.startswith(f".{full_for}."):
            write_bytes(path, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(files, "thumbnails", lambda _folder: jpeg)
    old = {"comparison.json": "old figures", "comparison.html": "old page"}
    for name, text in old.items():
        (tmp_path / name).write_text(text)
    with monkeypatch.context() as patched:
        patched.setattr(writing.Path, "write_bytes", full)
        with pytest.raises(CheckpointError, match=rf"{full_for}: cannot be written: No space left on device$"):
            write_comparison(
                tiny_comparison(), json_file=tmp_path / "comparison.json", page=tmp_path / "comparison.html"
            )
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == old
    write_comparison(tiny_comparison(), json_file=tmp_path / "comparison.json", page=tmp_path / "comparison.html")
    assert {path.name for path in tmp_path.iterdir()} == set(old)
    assert not [name for name, text in old.items() if (tmp_path / name).read_text() == text]
