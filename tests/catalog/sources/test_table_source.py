"""Tables: what becomes of their columns, and what is refused in which words."""

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_tables import table_settings

from simtrain.catalog.sources import PARTS, Source, read_table_source
from simtrain.catalog.sources.alike import united
from simtrain.errors import CatalogError


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")
    return root


def table(file: Path, /, *, root: Path | None = None, pattern: str | None = None, **columns: str) -> Source:
    return read_table_source(file, settings=table_settings(columns, root=root, pattern=pattern, follow_links=False))


def csv_table(tmp_path: Path, text: str) -> Path:
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    return tmp_path / "table.csv"


def values(source: Source, column: str) -> list[Any]:
    return [None if pd.isna(value) else value for value in source.rows[column].tolist()]


def message(tmp_path: Path, text: str, **columns: str) -> str:
    with pytest.raises(CatalogError) as caught:
        table(csv_table(tmp_path, text), **columns)
    return str(caught.value).replace(str(tmp_path), "DIR")


def test_columns_of_their_own_name(tmp_path: Path) -> None:
    text = "path,label,product,split,price,stock,query\na.jpg,mug,00123,test,9.50,3,no\nb/c.jpg,,7,,1e2,,\n"
    source = table(csv_table(tmp_path, text))
    assert values(source, "path") == values(source, "id") == ["a.jpg", "b/c.jpg"]
    assert values(source, "product") == ["00123", "7"]
    assert values(source, "label") == ["mug", None]
    assert values(source, "split") == ["test", None]
    assert values(source, "query") == [False, True]
    assert list(source.rows.columns) == [*PARTS, "price", "stock"]
    assert values(source, "price") == [9.5, 100.0]
    assert values(source, "stock") == [3, None]
    assert str(source.rows["stock"].dtype) == "Int64"
    assert source.root == tmp_path


def test_mapped_columns(tmp_path: Path) -> None:
    text = "file,label,category,sku\na.jpg,chair-1,Office,007\nb.jpg,chair-2,Home,1\n"
    source = table(csv_table(tmp_path, text), path="file", product="label", label="category", id="sku")
    assert values(source, "id") == values(source, "sku") == ["007", "1"]
    assert values(source, "product") == ["chair-1", "chair-2"]
    assert values(source, "label") == values(source, "category") == ["Office", "Home"]
    assert list(source.rows.columns) == [*PARTS, "file", "category", "sku"]
    assert source.findings == []


def test_column_that_plays_another_part_is_not_also_its_own(tmp_path: Path) -> None:
    source = table(csv_table(tmp_path, "path,label\na.jpg,chair-1\n"), product="label")
    assert (values(source, "product"), values(source, "label")) == (["chair-1"], [None])
    both = table(csv_table(tmp_path, "path,label\na.jpg,chair-1\n"), product="label", label="label")
    assert (values(both, "product"), values(both, "label")) == (["chair-1"], ["chair-1"])


def test_names_that_the_catalogue_needs_are_kept_under_another(tmp_path: Path) -> None:
    text = "path,label,category,width,source_width\na.jpg,old,mug,12.5,x\n"
    source = table(csv_table(tmp_path, text), label="category")
    assert values(source, "label") == ["mug"]
    assert values(source, "source_label") == ["old"]
    assert values(source, "source_source_width") == [12.5]
    assert values(source, "source_width") == ["x"]
    assert [(finding["kind"], finding["column"], finding["kept_as"]) for finding in source.findings] == [
        ("renamed_column", "label", "source_label"),
        ("renamed_column", "width", "source_source_width"),
    ]


@pytest.mark.parametrize(
    "name", ["Product", " product ", "\u00a0product", "pro\u200bduct", "\ufeffproduct", "\uff30roduct"]
)
def test_capitals_and_blanks_of_a_columns_name_do_not_count(tmp_path: Path, name: str) -> None:
    source = table(csv_table(tmp_path, f"path,{name}\na.jpg,007\n"))
    assert values(source, "product") == ["007"]
    assert values(
        table(csv_table(tmp_path, "path,gro\u0308\u00dfe\na.jpg,007\n"), product="Gr\u00f6\u00dfe"), "product"
    ) == ["007"]


def test_usual_names_of_a_part_that_nothing_uses_are_told(tmp_path: Path) -> None:
    text = "path,Product ID,articleType,name\na.jpg,1,mug,red\n"
    (finding,) = table(csv_table(tmp_path, text)).findings
    assert finding["message"] == (
        "table.csv: 'Product ID' may be the product, 'articleType' may be the label, 'name' may be the caption; to use "
        "it as such: --set 'columns.product=Product ID' --set columns.label=articleType --set columns.caption=name"
    )
    assert table(csv_table(tmp_path, text), product="name").findings == []


def test_a_column_of_ids_that_are_none_is_set_free(tmp_path: Path) -> None:
    source = table(csv_table(tmp_path, "path,id\na.jpg,x\nb.jpg,x\n"))
    assert (values(source, "id"), values(source, "source_id")) == (["a.jpg", "b.jpg"], ["x", "x"])
    assert source.findings[0]["message"] == (
        "table.csv: column 'id' is not used as id, for it holds 'x' in several rows; to use it all the same: "
        "--set columns.id=id; not to be told: --set columns.id=false"
    )
    empty = table(csv_table(tmp_path, "path,id\na.jpg,x\nb.jpg,\n,\n"))
    assert "for it is empty in row 2;" in str(empty.findings[0]["message"])


@pytest.mark.parametrize(("part", "good", "odd"), [("split", "train", "spare"), ("gallery", "yes", "maybe")])
def test_few_rows_of_another_value_are_left_out(tmp_path: Path, part: str, good: str, odd: str) -> None:
    rows = [f"{row}.jpg,{odd if row == 3 else good}" for row in range(6)]
    source = table(csv_table(tmp_path, f"path,{part}\n" + "\n".join(rows)))
    assert values(source, "path") == ["0.jpg", "1.jpg", "2.jpg", "4.jpg", "5.jpg"]
    (finding,) = source.findings
    assert (finding["kind"], finding["rows"]) == ("rows_left_out", [4])
    assert finding["message"].startswith(f"1 row left out, the first: {tmp_path}/table.csv: row 4: {part}: '{odd}' is ")


def test_numbers_that_a_float_cannot_hold_are_no_products(tmp_path: Path) -> None:
    ids = [float(2**53), float(2**53 + 2), 12345678901234567890.0, None]
    pq.write_table(pa.table({"path": ["a", "b", "c", "d"], "product": ids}), tmp_path / "table.parquet")
    found = united(table(tmp_path / "table.parquet"), nothing=[])
    assert values(found, "product") == ["9007199254740992", "9.007199254740994e+15", "1.234567890123457e+19", None]
    assert values(united(table(tmp_path / "table.parquet"), nothing=["-"]), "product") == [
        "9007199254740992",
        None,
        None,
        None,
    ]


def test_csv_types(tmp_path: Path) -> None:
    header = "path,zip,huge,mixed,none,name,negative,long\n"
    text = f"{header}a.jpg,01234,99999999999999999999,1,,NA,-3,{'9' * 5000}\nb.jpg,12345,1,one,,None,+4,1\n"
    source = table(csv_table(tmp_path, text))
    assert values(source, "long") == ["9" * 5000, "1"]
    assert values(source, "zip") == ["01234", "12345"]
    assert values(source, "huge") == ["99999999999999999999", "1"]
    assert values(source, "mixed") == ["1", "one"]
    assert values(source, "none") == [None, None]
    assert values(source, "name") == ["NA", "None"]
    assert values(source, "negative") == [-3, 4]


def test_csv_with_byte_order_mark_quotes_and_persian(tmp_path: Path) -> None:
    text = '\ufeffpath,caption\r\n"کفش, نو/a b.jpg","قرمز ""بزرگ"""\r\n\r\n'
    source = table(csv_table(tmp_path, text))
    assert values(source, "path") == ["کفش, نو/a b.jpg"]
    assert values(source, "caption") == ['قرمز "بزرگ"']


def test_parquet_keeps_types(tmp_path: Path) -> None:
    columns = {
        "path": ["a.jpg", "b.jpg"],
        "product": pa.array([12, None], pa.int64()),
        "label": pa.array([3.0, None], pa.float64()),
        "stock": pa.array([1, None], pa.int16()),
        "views": pa.array([1, 2], pa.uint8()),
        "tags": [["x", "y"], []],
        "added": pa.array([0, 1], pa.timestamp("us")),
        "gallery": [True, False],
    }
    pq.write_table(pa.table(columns), tmp_path / "table.PARQUET")
    source = table(tmp_path / "table.PARQUET")
    assert values(source, "product") == ["12", None]
    assert values(source, "label") == ["3", None]
    assert values(source, "gallery") == [True, False]
    written = pa.Table.from_pandas(source.rows, preserve_index=False)
    types = [str(written.schema.field(name).type).partition("<")[0] for name in ("stock", "views", "tags", "added")]
    assert types == ["int16", "uint8", "list", "timestamp[us]"]


def test_paths_are_normalised(tmp_path: Path) -> None:
    text = f"path\n./a/../b.jpg\n{tmp_path}/c.jpg\nd\\e.jpg\n"
    assert values(table(csv_table(tmp_path, text)), "path") == ["b.jpg", "c.jpg", "d/e.jpg"]


def test_paths_start_from_another_root(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    source = table(csv_table(tmp_path, "path\na.jpg\n"), root=tmp_path / "images")
    assert source.root == tmp_path / "images"
    with pytest.raises(CatalogError, match=re.escape(f"{tmp_path / 'gone'}: no such folder; the paths of ")):
        table(tmp_path / "table.csv", root=tmp_path / "gone")


def test_table_product_from_the_path(tmp_path: Path) -> None:
    source = table(csv_table(tmp_path, "path\nx_1.jpg\nx_2.jpg\n"), pattern=r"(.*)_\d")
    assert values(source, "product") == ["x", "x"]
    with pytest.raises(CatalogError, match=r"both product_pattern and column 'product' give the product; keep one$"):
        table(csv_table(tmp_path, "path,product\nx_1.jpg,x\n"), pattern=r"(.*)_\d")


NO_ID = "; not to use the column: --set columns.id=false"
OUTSIDE = "lies outside DIR; --set root=FOLDER names another folder to start from"


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("", {}, "is empty; expected a header line with the names of the columns"),
        ("path,label\n", {}, "has no rows"),
        ("name,label\nx,y\n", {}, "no column 'path' with the image files; it has name, label"),
        (
            "name,file\nx,a.JPG\n",
            {},
            "no column 'path' with the image files; it has name, file; 'file' looks like image files; "
            "'name' may be the caption: --set columns.path=file --set columns.caption=name",
        ),
        (
            "path~product\na.jpg~b\n",
            {},
            "no column 'path' with the image files; it has path~product; are its fields separated by something else? "
            "--set dialect.separator='~'",
        ),
        (
            "a.jpg,x\nb.jpg,x\n",
            {},
            "no column 'path' with the image files; it has a.jpg, x; has it no header? write the names of the columns "
            "into its first line, such as path,product",
        ),
        ("path,product\na,b\n", {"product": "prodct"}, "columns.product: no column 'prodct'; did you mean 'product'?"),
        ("path,name\na,b\n", {"label": "xyz"}, "columns.label: no column 'xyz'; it has path, name"),
        (
            f"{'n' * 5000},label\na.jpg,y\n",
            {},
            f"no column 'path' with the image files; it has {'n' * 299}…",
        ),
        ("path,label\na.jpg\n", {}, "line 2 has 1 field; the header has 2"),
        ("path\na.jpg\n../b.jpg\n", {}, f"row 2: path: '../b.jpg' {OUTSIDE}"),
        ("path\n/etc/passwd\n", {}, f"row 1: path: '/etc/passwd' {OUTSIDE}"),
        (
            "path\nhttps://shop.com/a.jpg\n",
            {},
            "row 1: path: 'https://shop.com/a.jpg' is not a local file; download the images and give their paths",
        ),
        ("path,label\n,x\n,y\n", {}, "row 1: path is empty"),
        (
            "path\na.jpg\nb.jpg\n./a.jpg\n",
            {},
            "rows 1 and 3 have the same path 'a.jpg'; a column of unique ids can be named with --set columns.id=NAME",
        ),
        ("path,id\na.jpg,x\nb.jpg,x\n", {"id": "id"}, f"rows 1 and 2 have the same id 'x'{NO_ID}"),
        ("path,id\na.jpg,\n", {"id": "id"}, f"row 1: id is empty; every image needs an id of its own{NO_ID}"),
        (
            "path,split\na.jpg,tset\n",
            {},
            "row 1: split: 'tset' is no split; allowed: train, training, val, valid, validation, dev, test, testing; "
            "did you mean 'test'?",
        ),
        (
            "path,gallery\na.jpg,maybe\n",
            {"gallery": "gallery"},
            "row 1: gallery: 'maybe' is neither true nor false; allowed: true, false, yes, no, 1, 0; not to use the "
            "column: --set columns.gallery=false",
        ),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str, columns: dict[str, str], expected: str) -> None:
    assert message(tmp_path, text, **columns) == f"DIR/table.csv: {expected}"


def test_link_out_of_the_root_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "secret.jpg")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CatalogError, match=r"row 1: path: 'link/secret.jpg' is a link to .*, outside"):
        table(csv_table(tmp_path / "root", "path\nlink/secret.jpg\n"))


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"path\n" + bytes(range(128, 256)) + b".jpg\n")
    with pytest.raises(
        CatalogError, match=r"table\.csv: not UTF-8 text \(.*\), and no other encoding that is known fits; save it as"
    ):
        table(tmp_path / "table.csv")
    (tmp_path / "table.parquet").write_bytes(b"path\n")
    with pytest.raises(CatalogError, match=r"table\.parquet: not a Parquet file: "):
        table(tmp_path / "table.parquet")


def test_the_first_of_two_columns_of_paths_is_used_and_the_other_kept(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    source = table(csv_table(tmp_path, "path,label,path,label\na.jpg,mug,x,9\nb.jpg,cup,y,8\n"))
    assert (values(source, "path"), values(source, "label")) == (["a.jpg", "b.jpg"], ["mug", "cup"])
    assert (values(source, "path_2"), values(source, "label_2")) == (["x", "y"], [9, 8])
    (message,) = [finding["message"] for finding in source.findings if finding["kind"] == "columns_repeated"]
    assert message.startswith("table.csv: the column 'path' stands 2 times: the first is used, the other is kept as ")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_rows_of_one_picture_that_lack_a_value_are_told_apart(tmp_path: Path, kind: str) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    if kind == "csv":
        path = csv_table(tmp_path, "path,title\na.jpg,\na.jpg,\nb.jpg,nan\n")
    else:
        path = tmp_path / "table.jsonl"
        rows = ({"path": "a.jpg"}, {"path": "a.jpg"}, {"path": "b.jpg", "title": "nan"})
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    source = table(path)
    assert values(source, "path") == ["a.jpg", "b.jpg"]
    assert [finding["rows"] for finding in source.findings if finding["kind"] == "rows_left_out"] == [[2]]


def test_lines_that_share_no_names_are_no_table(tmp_path: Path) -> None:
    lines = [json.dumps({"path": f"{place}.jpg", f"n{place}": 1}) for place in range(5000)]
    (tmp_path / "table.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(CatalogError, match="its 5,000 lines have 5,001 different names; expected the same few in all"):
        table(tmp_path / "table.jsonl")


def test_a_date_of_no_calendar_is_told_with_its_column(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    columns = {"path": pa.array(["a.jpg"]), "made": pa.array([-(10**9)], pa.date32())}
    pq.write_table(pa.table(columns), tmp_path / "table.parquet")
    with pytest.raises(CatalogError) as told:
        table(tmp_path / "table.parquet")
    expected = "column 'made' holds what cannot be read: year -2735938 is out of range; write it as text"
    assert str(told.value) == f"{tmp_path / 'table.parquet'}: {expected}"


def test_columns_of_one_name_in_parquet(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    arrays = [pa.array(["a.jpg"]), pa.array(["007"]), pa.array([8])]
    pq.write_table(pa.Table.from_arrays(arrays, names=["path", "product", "product"]), tmp_path / "table.parquet")
    source = table(tmp_path / "table.parquet")
    assert (values(source, "product"), values(source, "product_2")) == (["007"], [8])
    assert [finding["kind"] for finding in source.findings] == ["columns_repeated"]


def test_list_where_text_belongs_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"path": ["a.jpg"], "label": [["x"]]}), tmp_path / "table.parquet")
    with pytest.raises(CatalogError, match=r"table\.parquet: row 1: label: expected text, found"):
        table(tmp_path / "table.parquet", label="label")
    assert values(united(table(tmp_path / "table.parquet"), nothing=[]), "label") == [None]
