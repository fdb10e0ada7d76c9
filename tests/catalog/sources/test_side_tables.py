"""Tables and texts beside the images of a folder: told with the command that reads them, and read by it."""

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest
from small_shops import run, save_noise

from simtrain.commands.prepare import PrepareReport
from simtrain.errors import CatalogError


def pictures(root: Path, *paths: str) -> Path:
    for number, path in enumerate(paths):
        save_noise(root / path, seed=number)
    return root


def told(report: PrepareReport, kind: str) -> list[str]:
    return [finding["message"] for finding in report.findings if finding["kind"] == kind]


def run_what_is_told(report: PrepareReport, out: Path) -> PrepareReport:
    """Follow the command of the one finding about a table."""
    (message,) = told(report, "side_table")
    words = shlex.split(message.partition("To read it: ")[2])
    assert words[:2] == ["simtrain", "prepare"]
    settings = [word for word in words[5:] if word != "--set"]
    return run(words[2], out, *settings)


def test_a_table_of_hugging_face(tmp_path: Path) -> None:
    root = pictures(tmp_path / "src", "photos/a.png", "photos/b.png", "photos/c.png")
    lines = ({"file_name": f"photos/{name}.png", "text": f"a {name}", "sku": name < "c"} for name in "abc")
    (root / "metadata.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    report = run_what_is_told(run(root, tmp_path / "out"), tmp_path / "out2")
    rows = report.catalog.rows
    assert rows["path"].tolist() == ["photos/a.png", "photos/b.png", "photos/c.png"]
    assert rows["caption"].tolist() == ["a a", "a b", "a c"]
    assert rows["product"].tolist() == ["True", "True", "False"]


def test_a_table_in_each_split(tmp_path: Path) -> None:
    root = pictures(tmp_path / "src", "train/a.png", "train/b.png", "test/a.png")
    (root / "train" / "metadata.csv").write_text("file_name,text\na.png,one\nb.png,two\n")
    (root / "test" / "metadata.csv").write_text("file_name,text\na.png,three\n")
    report = run_what_is_told(run(root, tmp_path / "out"), tmp_path / "out2")
    rows = report.catalog.rows.set_index("path")
    assert rows["caption"].to_dict() == {"train/a.png": "one", "train/b.png": "two", "test/a.png": "three"}
    assert rows["split"]["test/a.png"] == "test"


def test_a_table_of_ids_without_suffix_in_a_folder_of_their_own(tmp_path: Path) -> None:
    names = [str(1163 + 7 * row) for row in range(6)]
    root = pictures(tmp_path / "src", *(f"images/{name}.jpg" for name in names))
    table = pd.DataFrame({"id": names, "gender": ["Men"] * 6, "articleType": ["Shoes", "Tie"] * 3, "year": range(6)})
    table.to_csv(root / "styles.csv", index=False)
    report = run_what_is_told(run(root, tmp_path / "out"), tmp_path / "out2")
    rows = report.catalog.rows
    assert rows["path"].tolist() == [f"images/{name}.jpg" for name in names]
    assert rows["label"].tolist() == ["Shoes", "Tie"] * 3
    assert not told(report, "side_table")


def test_ids_in_several_folders(tmp_path: Path) -> None:
    root = pictures(tmp_path / "src", "part1/x1.png", "part2/x2.png", "part2/x3.png")
    (root / "all.csv").write_text("image;product_id\nx1.png;7\nx2.png;7\nx3.png;8\n")
    rows = run_what_is_told(run(root, tmp_path / "out"), tmp_path / "out2").catalog.rows
    assert rows.set_index("path")["product"].to_dict() == {
        "part1/x1.png": "7",
        "part2/x2.png": "7",
        "part2/x3.png": "8",
    }


def test_images_that_the_table_does_not_name_are_told(tmp_path: Path) -> None:
    root = pictures(tmp_path / "src", "a.png", "b.png", "extra.png")
    (root / "t.csv").write_text("path,product\na.png,1\nb.png,2\n")
    report = run(root, tmp_path / "out", "table=t.csv")
    assert report.counts["images"] == 2
    assert told(report, "images_not_in_table") == [
        "t.csv describes the images; 1 image that it does not name left out, such as 'extra.png'"
    ]


def test_columns_alone_take_the_only_table(tmp_path: Path) -> None:
    root = pictures(tmp_path / "src", "a.png", "b.png")
    (root / "t.tsv").write_text("file\tcolour\na.png\tred\nb.png\tblue\n")
    assert run(root, tmp_path / "out", "columns.label=colour").catalog.rows["label"].tolist() == ["red", "blue"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (("table=tabel.csv",), "table: no 'tabel.csv' in it; did you mean 'table.csv'?"),
        (("table=table.csv", "levels=[label]"), "is described by table.csv; the setting 'levels' does not go with it"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, settings: tuple[str, ...], expected: str) -> None:
    root = pictures(tmp_path / "src", "a.png")
    (root / "table.csv").write_text("path\na.png\n")
    with pytest.raises(CatalogError) as caught:
        run(root, tmp_path / "out", *settings)
    assert str(caught.value) == f"{root}: {expected}"


def test_tables_of_other_things_are_no_side_tables(tmp_path: Path) -> None:
    root = pictures(tmp_path / "src", "0.png", "1.png", "2.png")
    (root / "prices.csv").write_text("sku,price\n" + "".join(f"{row},{row % 3}\n" for row in range(100, 140)))
    report = run(root, tmp_path / "out")
    assert told(report, "side_table") == []
    assert told(report, "other_files") == [
        "not looked at, as they are no pictures: 1 file (1 .csv), such as 'prices.csv'"
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("annotations.json", '{"images": [{"file_name": "0.png"}, {"file_name": "1.png"}, {"file_name":"2.png"}]}'),
        ("train.txt", "photos/0.png 4\nphotos/1.png 4\nphotos\\2.png 5\n"),
        ("products.csv", 'sku,images\n7,"0.png|1.png"\n8,2.png;3.png\n'),
    ],
)
def test_files_that_name_images_and_are_no_tables_are_told(tmp_path: Path, name: str, text: str) -> None:
    root = pictures(tmp_path / "src", "photos/0.png", "photos/1.png", "photos/2.png")
    (root / name).write_text(text)
    (root / "readme.txt").write_text("the first is 0.png")
    (message,) = told(run(root, tmp_path / "out"), "naming_file")
    assert message == (
        f"{name} names 3 of these images; it is not read. If it says what they are: write a table (.csv) with a row "
        "for each image and columns such as path, product, label and split, and give it as the source"
    )


def test_a_table_that_comes_later_is_noticed(tmp_path: Path) -> None:
    root = pictures(tmp_path / "src", "a.png", "b.png")
    run(root, tmp_path / "out")
    assert run(root, tmp_path / "out").fresh is None
    (root / "t.csv").write_text("path,product\na.png,1\nb.png,2\n")
    assert told(run(root, tmp_path / "out"), "side_table")


@pytest.mark.parametrize("name", ["train.txt", "annotations.json", "lists/test.txt"])
def test_a_text_that_names_other_images_than_before_is_noticed(tmp_path: Path, name: str) -> None:
    root = pictures(tmp_path / "src", *(f"photos/{number}.png" for number in range(5)))
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text('["0.png", "1.png", "2.png"]')
    run(root, tmp_path / "out")
    assert run(root, tmp_path / "out").fresh is None
    (root / name).write_text('["0.png", "1.png", "2.png", "3.png"]')
    report = run(root, tmp_path / "out")
    assert report.fresh == 0
    assert told(report, "naming_file")[0].startswith(f"{name} names 4 of these images; it is not read.")


def test_a_text_of_another_name_than_before_is_noticed(tmp_path: Path) -> None:
    root = pictures(tmp_path / "src", "a.png", "b.png")
    (root / "a.txt").write_text("a mug")
    run(root, tmp_path / "out")
    (root / "a.txt").rename(root / "b.txt")
    assert "such as 'b.txt'" in told(run(root, tmp_path / "out"), "sidecars")[0]


def test_the_next_command_reads_the_table_that_describes_the_images(tmp_path: Path) -> None:
    root = pictures(tmp_path / "src", "photos/a.png", "photos/b.png", "photos/c.png")
    (root / "manifest.csv").write_text("path,label,split\nphotos/a.png,mug,train\nphotos/b.png,cup,test\n")
    report = run(root, tmp_path / "out")
    catalog = f"simtrain init {tmp_path / 'out'}"
    *_, command, why, without = report.lines()
    assert command == f"next: simtrain prepare {root} --out {tmp_path / 'out'} --set table=manifest.csv"
    assert why == "  which reads manifest.csv: it describes 2 of these images"
    assert without == f"or, without it: {catalog}"
    assert told(report, "other_files") == []
    words = shlex.split(command.removeprefix("next: "))
    read = run(words[2], Path(words[4]), words[6])
    assert read.lines()[-1] == f"next: {catalog}"
    assert read.catalog.rows["label"].tolist() == ["mug", "cup"]
    assert read.catalog.rows["split"].tolist() == ["train", "test"]


def test_a_table_of_few_of_the_images_is_not_the_next_thing_to_read(tmp_path: Path) -> None:
    root = pictures(tmp_path / "src", *(f"{number}.png" for number in range(5)))
    (root / "chosen.csv").write_text("path\n0.png\n1.png\n")
    report = run(root, tmp_path / "out")
    assert told(report, "side_table")[0].startswith("chosen.csv names 2 of these images; it is not read. To read it: ")
    assert report.lines()[-1] == f"next: simtrain init {tmp_path / 'out'}"


def test_tables_of_each_split_whose_columns_differ_in_type(tmp_path: Path) -> None:
    root = pictures(tmp_path / "src", "train/a.png", "train/b.png", "test/a.png")
    (root / "train" / "t.csv").write_text("path,size,price\na.png,38,1\nb.png,39,2\n")
    (root / "test" / "t.csv").write_text("path,size,price\na.png,XL,2.5\n")
    report = run(root, tmp_path / "out", "table=t.csv")
    (message,) = told(report, "column_types_differ")
    assert message == "column 'size' is str and int64 in different files; it was read as text"
    rows = report.catalog.rows
    assert sorted(rows["size"]) == ["38", "39", "XL"]
    assert sorted(rows["price"]) == [1, 2, 2.5]


def sidecar_shop(root: Path) -> Path:
    pictures(root, "00000/000.png", "00000/001.png", "00000/002.png")
    (root / "00000" / "000.txt").write_text("a red mug\n")
    for number in range(2):
        entry = {"caption": f"json {number}", "url": f"https://x/{number}", "width": 9, "score": number + 0.5}
        (root / "00000" / f"00{number}.json").write_text(json.dumps(entry))
    return root


def test_what_is_not_looked_at_has_an_example_that_is_not(tmp_path: Path) -> None:
    root = pictures(tmp_path / "src", "a.png", "b.png", "c.png")
    (root / "meta.csv").write_text("file,sku\na.png,1\nb.png,1\nc.png,2\n")
    (root / "prices.csv").write_text("sku,price\n1,2.5\n")
    report = run(root, tmp_path / "out", "table=meta.csv", "columns.path=file", "columns.product=sku")
    assert told(report, "other_files") == [
        "not looked at, as they are no pictures: 1 file (1 .csv), such as 'prices.csv'"
    ]


def test_an_older_catalogue_among_the_pictures_is_not_what_describes_them(tmp_path: Path) -> None:
    root = pictures(tmp_path / "src", "a.png", "b.png", "c.png", "d.png")
    run(root, tmp_path / "cat")
    (tmp_path / "cat").rename(root / "cat")
    report = run(root, tmp_path / "out")
    assert told(report, "side_table") == []
    assert report.counts["images"] == 4


def test_files_of_an_images_name_are_told(tmp_path: Path) -> None:
    report = run(sidecar_shop(tmp_path / "src"), tmp_path / "out")
    assert told(report, "sidecars") == [
        "2 images have a file of its own name beside it (.json, .txt), such as '00000/000.json', which is not read; "
        "--set "
        "sidecars=true reads texts as captions and JSON as columns"
    ]


def test_files_of_an_images_name_are_read_when_asked(tmp_path: Path) -> None:
    root = sidecar_shop(tmp_path / "src")
    (root / "00000" / "002.json").write_text("{broken")
    (root / "00000" / "002.png.json").write_text('{"half": "\\ud83d"}')
    (root / "00000" / "002.txt").write_text("")
    (root / "00000" / "001.png.json").write_text("[1, 2]")
    report = run(root, tmp_path / "out", "sidecars=true")
    rows = report.catalog.rows
    assert rows["caption"].fillna("none").tolist() == ["a red mug", "json 1", "none"]
    assert rows["url"].fillna("none").tolist() == ["https://x/0", "https://x/1", "none"]
    assert rows["source_width"].tolist()[:2] == [9.0, 9.0]
    left_out = {finding["path"]: finding["reason"] for finding in report.findings if finding["kind"] == "left_out"}
    assert sorted(left_out) == ["00000/001.png.json", "00000/002.json", "00000/002.png.json"]
    assert left_out["00000/001.png.json"] == "holds no JSON object of fields"
    assert left_out["00000/002.png.json"] == "holds half of a character, such as \\ud83d"
    (root / "00000" / "000.txt").write_text("a blue mug with a much longer text\n")
    assert run(root, tmp_path / "out", "sidecars=true").catalog.rows["caption"][0].startswith("a blue")
