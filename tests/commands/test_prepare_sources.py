"""Sources as the world has them, through the whole of `prepare`: nothing is lost without a word."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_shops import run, save_noise

from simtrain.catalog.sources import opening
from simtrain.errors import CatalogError


def shop(root: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        save_noise(root / name, seed=number)
    return root


def table(root: Path, header: str, *lines: str) -> Path:
    (root / "t.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return root / "t.csv"


def test_files_of_a_source_add_up(tmp_path: Path) -> None:
    root = shop(tmp_path / "src", [f"mug/{row}.png" for row in range(6)])
    for path in ("mug/x.CR2", "mug/@eaDir/0.png/THUMB.png", "notes.txt", ".DS_Store", "mug/broken.jpg"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    (root / "gone.png").symlink_to("../store/gone.png")
    report = run(root, tmp_path / "out")
    counts = report.counts
    assert (counts["images"], counts["unreadable"], counts["not_looked_at"]) == (6, 1, 5)
    assert "; 5 other files not looked at" in (tmp_path / "out" / "summary.html").read_text(encoding="utf-8")
    told = json.loads((tmp_path / "out" / "findings.json").read_text(encoding="utf-8"))
    kinds = {finding["kind"] for finding in told["findings"]}
    assert kinds >= {"pictures_not_read", "other_files", "clutter", "left_out", "unreadable"}
    lines = "\n".join(report.lines())
    for word in ("mug/x.CR2", "@eaDir", "notes.txt", "gone.png", "mug/broken.jpg"):
        assert word in lines


def test_products_written_in_two_ways_stand_in_one_split(tmp_path: Path) -> None:
    shop(tmp_path, [f"{row}.png" for row in range(40)])
    bags = ["\u0643\u064a\u0641", "\u06a9\u06cc\u0641"]  # Arabic and Persian letters
    lines = [f"{row}.png,{bags[row % 2]} {row // 2}{' ' * (row % 3)}" for row in range(40)]
    rows = run(table(tmp_path, "path,product", *lines), tmp_path / "out").catalog.rows
    assert rows["product"].nunique() == 20
    assert rows.groupby("product")["split"].nunique().max() == 1


def test_numbers_of_a_table_and_of_its_parquet_are_the_same_products(tmp_path: Path) -> None:
    import pandas as pd

    shop(tmp_path, [f"{row}.png" for row in range(6)])
    csv = table(tmp_path, "path,product", *(f"{row}.png,{1000 + row // 2}.0" for row in range(6)))
    frame = pd.DataFrame(
        {"path": [f"{row}.png" for row in range(6)], "product": [1000.0 + row // 2 for row in range(6)]}
    )
    frame.to_parquet(tmp_path / "t.parquet")
    one, other = (run(source, tmp_path / source.suffix[1:]).catalog.rows for source in (csv, tmp_path / "t.parquet"))
    assert one["product"].tolist() == other["product"].tolist() == ["1000", "1000", "1001", "1001", "1002", "1002"]
    assert one["split"].tolist() == other["split"].tolist()


@pytest.mark.parametrize("header", ["PATH,Product ,Label", "path, product, label", "\ufeffPath,PRODUCT,label"])
def test_names_of_columns_in_blanks_and_capitals(tmp_path: Path, header: str) -> None:
    shop(tmp_path, ["a.png", "b.png", "c.png"])
    source = table(tmp_path, header, "a.png,p1,mug", "b.png,p1,mug", "c.png,p2,hat")
    rows = run(source, tmp_path / "out").catalog.rows
    assert rows["product"].tolist() == ["p1", "p1", "p2"]
    assert rows["label"].tolist() == ["mug", "mug", "hat"]


def test_a_column_that_is_named_in_other_capitals_is_found(tmp_path: Path) -> None:
    shop(tmp_path, ["a.png", "b.png", "c.png"])
    source = table(tmp_path, "File, SKU", "a.png,1", "b.png,1", "c.png,2")
    report = run(source, tmp_path / "out", "columns.path=file", "columns.product= sku")
    assert report.catalog.rows["product"].tolist() == ["1", "1", "2"]
    (finding,) = [finding for finding in report.findings if finding["kind"] == "columns_matched"]
    assert finding["columns"] == {"path": "File", "product": "SKU"}


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("query", ["red mug", "no", "mug without handle"]),
        ("gallery", ["a.jpg|b.jpg", "", "c.jpg"]),
        ("split", ["leather", "suede", "leather"]),
    ],
)
def test_a_column_that_only_has_a_parts_name_is_set_free(tmp_path: Path, column: str, values: list[str]) -> None:
    shop(tmp_path, ["a.png", "b.png", "c.png"])
    source = table(
        tmp_path, f"path,{column}", *(f"{path}.png,{value}" for path, value in zip("abc", values, strict=True))
    )
    report = run(source, tmp_path / "out")
    assert report.catalog.rows[f"source_{column}"].fillna("").tolist() == values
    (finding,) = [finding for finding in report.findings if finding["kind"] == "column_set_free"]
    assert f"--set columns.{column}=false" in finding["message"]
    quiet = run(source, tmp_path / "out2", f"columns.{column}=false")
    assert [finding["kind"] for finding in quiet.findings if finding["kind"] == "column_set_free"] == []
    with pytest.raises(CatalogError, match=r"row 1: "):
        run(source, tmp_path / "out3", f"columns.{column}={column}")


def test_a_photograph_beyond_the_bound_is_told_with_the_setting_that_reads_it(tmp_path: Path) -> None:
    save_noise(tmp_path / "src" / "small.png", seed=0)
    Image.new("RGB", (2000, 1500), "red").save(tmp_path / "src" / "large.jpg")
    report = run(tmp_path / "src", tmp_path / "out", "inspection.largest_megapixels=2.5")
    (finding,) = [finding for finding in report.findings if finding["kind"] == "unreadable"]
    assert finding["reason"] == (
        "too many pixels: Image size (3000000 pixels) exceeds limit of 2500000 pixels; if it is what it should be: "
        "--set "
        "inspection.largest_megapixels=3"
    )
    again = run(tmp_path / "src", tmp_path / "out", "inspection.largest_megapixels=3")
    assert (again.counts["images"], again.fresh) == (2, 1)


def test_more_megapixels_than_pillow_takes(tmp_path: Path) -> None:
    pixels = np.zeros((9_000, 11_000), dtype=np.uint8)
    pixels[:4000] = 200
    (tmp_path / "src").mkdir()
    Image.fromarray(pixels).save(tmp_path / "src" / "camera.jpg", quality=30)
    save_noise(tmp_path / "src" / "small.png", seed=0)
    rows = run(tmp_path / "src", tmp_path / "out").catalog.rows
    assert rows["width"].tolist() == [11_000, 16]


def test_a_table_inside_a_downloaded_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = shop(tmp_path / "src", [f"pics/{row}.jpg" for row in range(8)])
    (root / "info.csv").write_text("id,masterCategory\n" + "".join(f"{row},{'AB'[row % 2]}\n" for row in range(8)))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in sorted(root.rglob("*.*")):
            archive.write(path, f"data/{path.relative_to(root)}")

    def download(_: str, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(tmp_path / "a.zip", folder / "a.zip"))

    monkeypatch.setattr(opening, "download_kaggle", download)
    report = run("kaggle:some/set", tmp_path / "out")
    (finding,) = [finding for finding in report.findings if finding["kind"] == "side_table"]
    command = f"simtrain prepare kaggle:some/set --out {tmp_path / 'out'} --set table=data/info.csv"
    assert f"{command} --set columns.path=id --set columns.label=masterCategory" in finding["message"]
    described = run("kaggle:some/set", tmp_path / "out", "columns.path=id", "columns.label=masterCategory")
    assert described.catalog.rows["label"].tolist() == ["A", "B"] * 4
    assert described.catalog.image_path(0) == tmp_path / "out" / "source" / "data" / "pics" / "0.jpg"


def test_parquet_files_of_which_one_is_broken(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    save_noise(tmp_path / "tmp.png", seed=3)
    contents = [(tmp_path / "tmp.png").read_bytes()] * 3
    (tmp_path / "src" / "data").mkdir(parents=True)
    pq.write_table(pa.table({"image": contents}), tmp_path / "src" / "data" / "train-0.parquet")
    (tmp_path / "src" / "data" / "train-1.parquet").write_text("version https://git-lfs.github.com/spec/v1\n")
    report = run(tmp_path / "src", tmp_path / "out")
    (finding,) = [finding for finding in report.findings if finding["kind"] == "left_out"]
    assert (finding["path"], finding["reason"]) == (
        "data/train-1.parquet",
        "is a pointer of git-lfs, not the data; run: git lfs pull",
    )
    assert report.counts["images"] == 3


def test_names_with_line_breaks_stay_in_their_line(tmp_path: Path) -> None:
    root = shop(tmp_path / "src", ["mug/a.png", "mug/b.png"])
    (root / "mug" / "bad\nerror: all is lost.jpg").write_bytes(b"")
    lines = run(root, tmp_path / "out").lines()
    assert not any("\n" in line or line.startswith("error") for line in lines)
    assert any("bad\\nerror: all is lost.jpg" in line for line in lines)


def test_a_nameless_column_of_numbers_plays_no_part(tmp_path: Path) -> None:
    shop(tmp_path, ["a.png", "b.png", "c.png"])
    report = run(table(tmp_path, ",path,product", "0,a.png,p", "1,b.png,p", "2,c.png,q"), tmp_path / "out")
    rows = report.catalog.rows
    assert (rows["id"].tolist(), rows["label"].isna().all(), rows["caption"].isna().all()) == (
        ["a.png", "b.png", "c.png"],
        True,
        True,
    )
