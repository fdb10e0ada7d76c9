"""A bundle in an embedded Milvus: the same neighbours as in its own index, and gone bundles told."""

import json
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from simtrain.api.publish import publish
from simtrain.commands.export import export
from simtrain.commands.publish import BulkReport
from simtrain.commands.search import MilvusPlace, open_bundle, search_milvus, search_passing
from simtrain.console import SILENT
from simtrain.errors import SimtrainError
from simtrain.runs.run import Run
from simtrain.serving.given_bundle import GivenBundle
from simtrain.serving.milvus.bulk_files import BulkFiles
from simtrain.serving.opened_bundle import read_query


@pytest.fixture
def bundle(trained: Run, tmp_path: Path) -> Path:
    return export(trained, out=tmp_path / "bundle 1", alpha=None, console=SILENT).folder


def test_a_published_bundle_is_searched_like_its_index(bundle: Path, tmp_path: Path) -> None:
    address = f"milvus:{tmp_path / 'shop.db'}"
    report = publish(bundle, address, console=SILENT)
    opened = open_bundle(bundle)
    count = len(opened)
    assert str(report) == (
        f"published: 'bundle_1' in {address} ({count} items, index FLAT): {count} written, 0 unchanged, 0 removed\n"
        f"next: simtrain search {address} --collection bundle_1 --image PATH"
    )
    for row in (0, count // 2):
        query = read_query(opened.bundle.image_path(row), text=None, plot=None)
        expected = opened.answer(query, k=10).to_dict()["neighbours"]
        place = MilvusPlace(address=address, collection=None, condition=None)
        found = search_milvus(place, folder=None, images=None, query=query, k=10).to_dict()["neighbours"]
        assert [one["id"] for one in found] == [one["id"] for one in expected]
        for one, other in zip(found, expected, strict=True):
            assert one.pop("similarity") == pytest.approx(other.pop("similarity"), abs=1e-6)
            assert one == {name: value for name, value in other.items() if value is not None or name in one}
    shutil.move(bundle, tmp_path / "moved")
    with pytest.raises(SimtrainError, match=r"was published from is no longer in .*; name it: simtrain search BUNDLE"):
        search_milvus(place, folder=None, images=None, query=query, k=1)
    assert len(search_milvus(place, folder=tmp_path / "moved", images=None, query=query, k=3)) == 3


def test_another_bundle_is_replaced_only_where_its_name_was_given(bundle: Path, tmp_path: Path) -> None:
    address = f"milvus:{tmp_path / 'my shop.db'}"
    other = tmp_path / "bundle ü 1"  # whose name for Milvus is the same
    shutil.copytree(bundle, other)
    report = publish(bundle, address, console=SILENT)
    assert str(report).endswith(f"next: simtrain search {shlex.quote(address)} --collection bundle_1 --image PATH")
    with pytest.raises(SimtrainError) as told:
        publish(other, address, console=SILENT)
    assert str(told.value) == (
        f"{address}: 'bundle_1' holds the items of the bundle {bundle}; to replace them: --collection bundle_1; to "
        "keep both: --collection NAME"
    )
    assert publish(bundle, address, console=SILENT).published.written == 0
    assert publish(other, address, collection="bundle_1", console=SILENT).published.removed == 0
    shutil.rmtree(other)
    with pytest.raises(SimtrainError, match="holds the items of the bundle"):
        publish(bundle, address, console=SILENT)  # another name, which may have moved or not
    moved = tmp_path / "elsewhere" / "bundle 1"
    publish(bundle, address, collection="bundle_1", console=SILENT)
    shutil.move(bundle, moved)
    assert publish(moved, address, console=SILENT).published.written == 0


def test_a_collection_that_a_kill_left_without_its_schema_is_made_anew(bundle: Path, tmp_path: Path) -> None:
    publish(bundle, f"milvus:{tmp_path / 'first.db'}", console=SILENT)
    (made,) = [path.name for path in (tmp_path / "first.db" / "collections").iterdir()]
    (tmp_path / "shop.db" / "collections" / made).mkdir(parents=True)
    report = publish(bundle, f"milvus:{tmp_path / 'shop.db'}", console=SILENT)
    assert report.published.written == len(open_bundle(bundle))


def test_a_filter_means_the_same_in_a_bundle_and_in_milvus(bundle: Path, tmp_path: Path) -> None:
    address = f"milvus:{tmp_path / 'shop.db'}"
    publish(bundle, address, console=SILENT)
    opened = open_bundle(bundle)
    label = opened.items["label"].iloc[0]
    query = read_query(opened.bundle.image_path(len(opened) - 1), text=None, plot=None)
    condition = f'label == "{label}"'
    here = search_passing(GivenBundle(folder=bundle), query=query, k=50, condition=condition)
    place = MilvusPlace(address=address, collection=None, condition=condition)
    there = search_milvus(place, folder=None, images=None, query=query, k=50)
    assert [hit.id for hit in here] == [hit.id for hit in there]
    assert len(here) == (opened.items["label"] == label).sum() > 0


def test_the_next_step_of_bulk_files_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a 'b"
    folder.mkdir()
    note = {"collection": "shop_12", "files": ["a 'b/part-00001.parquet", "a 'b/part-00002.parquet"]}
    (folder / "schema.json").write_text(json.dumps(note))
    done = BulkFiles(
        folder=folder,
        names=["part-00001.parquet", "part-00002.parquet"],
        items=60,
        alias="shop",
        collection="shop_12",
        address="milvus:https://host:19530",
        uri="https://host:19530",
        cut_texts=0,
    )
    lines = str(BulkReport(files=done, source=tmp_path / "bundle 1")).splitlines()
    assert lines[0] == (
        f"bulk files: {folder} (60 items in 2 files), for the empty collection 'shop_12' in milvus:https://host:19530"
    )
    python, option, code = shlex.split(lines[2])
    assert (python, option) == ("python", "-c")
    asked: list[Any] = []
    answer = SimpleNamespace(text="{}")
    monkeypatch.setattr(
        "pymilvus.bulk_writer.bulk_import", lambda *given, **named: asked.append((given, named)) or answer
    )
    monkeypatch.setenv("MILVUS_TOKEN", "root:secret")
    exec(code, {})
    assert asked == [
        (
            ("https://host:19530", "shop_12"),
            {"files": [[note["files"][0]], [note["files"][1]]], "api_key": "root:secret"},
        )
    ]
    assert "secret" not in "\n".join(lines)
    last = shlex.split(lines[3].partition("simtrain ")[2])
    assert last == ["publish", str(tmp_path / "bundle 1"), "--to", "milvus:https://host:19530", "--collection", "shop"]
