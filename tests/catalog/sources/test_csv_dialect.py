"""Text tables of other dialects."""

import csv
from pathlib import Path
from typing import Any

import pytest

from simtrain.catalog.sources.csv_dialect import Dialect
from simtrain.catalog.sources.table_file import TableFile, read_table_file
from simtrain.errors import CatalogError

FOUND = Dialect(encoding=None, separator=None)


def read(path: Path, content: str | bytes, *, dialect: Dialect = FOUND) -> TableFile:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table_file(path, text_columns={"path", "product"}, dialect=dialect)


def columns(table: TableFile) -> dict[str, list[Any]]:
    return {str(name): table.frame[name].tolist() for name in table.frame.columns}


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
def test_the_separator_is_found(tmp_path: Path, separator: str) -> None:
    lines = (["path", "product", "caption"], ["a.jpg", "p1", "x"], ["b.jpg", "p2", "y z"])
    table = read(tmp_path / "t.csv", "\n".join(separator.join(line) for line in lines))
    assert columns(table) == {"path": ["a.jpg", "b.jpg"], "product": ["p1", "p2"], "caption": ["x", "y z"]}
    assert [finding["kind"] for finding in table.findings] == ([] if separator == "," else ["table_dialect"])


def test_a_separator_within_texts_is_none(tmp_path: Path) -> None:
    table = read(tmp_path / "t.csv", "path,caption\na.jpg,red; large; new\nb.jpg,blue; small; old\n")
    assert columns(table)["caption"] == ["red; large; new", "blue; small; old"]


def test_spreadsheets_first_line_and_quotes(tmp_path: Path) -> None:
    text = 'sep=;\r\npath;product;caption\r\na.jpg;1;"one; ""two""\r\nlines"\r\n'
    assert columns(read(tmp_path / "t.csv", text)) == {
        "path": ["a.jpg"],
        "product": ["1"],
        "caption": ['one; "two"\r\nlines'],
    }


def test_decimal_commas_are_numbers_beside_another_separator(tmp_path: Path) -> None:
    table = read(tmp_path / "t.csv", "path;price;weight\na.jpg;1,99;1.250,5\nb.jpg;12;3\n")
    assert columns(table) == {"path": ["a.jpg", "b.jpg"], "price": [1.99, 12.0], "weight": [1250.5, 3.0]}
    (finding,) = table.findings
    assert finding["remarks"] == [
        "its fields are separated by ';'",
        "numbers with a decimal comma: 'price' and 'weight'",
    ]


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-8", 0), ("utf-8-sig", 0), ("utf-16", 1), ("utf-16-le", 1), ("utf-16-be", 1), ("utf-32", 1), ("cp1252", 1)],
)
def test_usual_encodings(tmp_path: Path, encoding: str, told: int) -> None:
    table = read(tmp_path / "t.csv", "path,product\nk\u00f6nig.jpg,Gr\u00f6\u00dfe\n".encode(encoding))
    assert columns(table) == {"path": ["k\u00f6nig.jpg"], "product": ["Gr\u00f6\u00dfe"]}
    assert len(table.findings) == told


def test_an_encoding_that_is_named_is_taken(tmp_path: Path) -> None:
    content = "path,product\na.jpg,\u00fczg\u00fcn\u015f\n".encode("cp1254")
    table = read(tmp_path / "t.csv", content, dialect=Dialect(encoding="cp1252", separator=None))
    assert columns(table)["product"] == ["\u00fczg\u00fcn\u00fe"]  # as it was told, though it is Turkish
    assert table.findings == []


@pytest.mark.parametrize("encoding", ["utf-8", "no-such-encoding"])
def test_an_encoding_that_does_not_fit_is_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(CatalogError, match=f"dialect.encoding '{encoding}' does not fit: "):
        read(tmp_path / "t.csv", b"path\n\xff.jpg\n", dialect=Dialect(encoding=encoding, separator=None))


def test_blanks_behind_separators_belong_to_no_name_and_no_value(tmp_path: Path) -> None:
    table = read(tmp_path / "t.csv", 'path, product, caption\na.jpg, p1, "x, y"\n')
    assert columns(table) == {"path": ["a.jpg"], "product": ["p1"], "caption": ["x, y"]}


def test_columns_without_name_and_value_are_passed_over(tmp_path: Path) -> None:
    table = read(tmp_path / "t.csv", ",path,,n,\n0,a.jpg,x,1,\n1,b.jpg,,2,\n,,,,\n")
    assert list(table.frame.columns) == ["", "path", "column_3", "n"]
    assert table.frame["column_3"].fillna("none").tolist() == ["x", "none"]
    assert (table.frame[""].tolist(), table.frame["n"].tolist()) == ([0, 1], [1, 2])
    assert table.findings[0]["remarks"] == ["1 column without a name and without a value passed over"]


def test_a_few_ragged_lines_are_left_out_and_told(tmp_path: Path) -> None:
    lines = [f"{row}.jpg,p" for row in range(9)]
    table = read(tmp_path / "t.csv", "path,product\n" + "\n".join([*lines[:4], "x.jpg,p,more", *lines[4:]]))
    assert len(table.frame) == 9
    (finding,) = table.findings
    assert (finding["kind"], finding["rows"]) == ("rows_left_out", [6])
    assert finding["message"] == "t.csv: 1 line left out, the first: line 6 has 3 fields; the header has 2"


@pytest.mark.parametrize(
    ("odd", "problem"),
    [
        ('x.jpg,"12" pan"', """is not CSV: ',' expected after '"'"""),
        ('x.jpg,"12 pan', "is not CSV: a quote that opens here is never closed"),
    ],
)
@pytest.mark.parametrize("quoted", ["p", '"p"', '"p\nq"'])
def test_a_line_whose_quotes_do_not_fit_takes_no_other_with_it(
    tmp_path: Path, odd: str, problem: str, quoted: str
) -> None:
    lines = [f"{row}.jpg,{quoted}" for row in range(9)]
    table = read(tmp_path / "t.csv", "path,product\n" + "\n".join([*lines[:4], odd, *lines[4:]]))
    assert columns(table) == {"path": [f"{row}.jpg" for row in range(9)], "product": [quoted.strip('"')] * 9}
    line = 2 + 4 * len(quoted.split("\n"))
    (finding,) = table.findings
    assert (finding["kind"], finding["rows"]) == ("rows_left_out", [line])
    if odd.count('"') > 1 or quoted == "p":
        assert finding["message"] == f"t.csv: 1 line left out, the first: line {line} {problem}"


@pytest.mark.parametrize(
    ("above", "told"),
    [("\n\n", []), ("Products\n", ["Products"]), ("Our list,,\n\n", ["Our list,,"]), ("# a\n# b\n", ["# a", "# b"])],
)
def test_titles_above_the_header_are_passed_over(tmp_path: Path, above: str, told: list[str]) -> None:
    table = read(tmp_path / "t.csv", f"{above}path,product,n\na.jpg,x,1\n")
    assert columns(table) == {"path": ["a.jpg"], "product": ["x"], "n": [1]}
    remark = (
        f"{len(told)} line{'s' if len(told) > 1 else ''} above the header passed over, such as '{(told or [''])[0]}'"
    )
    assert [finding["remarks"] for finding in table.findings] == ([[remark]] if told else [])


def test_a_column_alone_has_its_header_in_the_first_line(tmp_path: Path) -> None:
    assert columns(read(tmp_path / "t.csv", "path\na.jpg\nb.jpg\n")) == {"path": ["a.jpg", "b.jpg"]}
    with pytest.raises(CatalogError, match="line 2 has 2 fields; the header has 1"):
        read(tmp_path / "t.csv", "path\na.jpg,1\nb.jpg,2\n")


def test_separators_at_the_ends_of_rows_alone_are_no_fields(tmp_path: Path) -> None:
    table = read(tmp_path / "t.csv", "path,product\na.jpg,x,\nb.jpg,y,,\n")
    assert columns(table) == {"path": ["a.jpg", "b.jpg"], "product": ["x", "y"]}


def test_cells_of_any_length(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    table = read(tmp_path / "t.csv", f"path,caption\na.jpg,{'x' * 300_000}\n")
    assert len(columns(table)["caption"][0]) == 300_000
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "is a pointer of git-lfs, not the data; run: git lfs pull",
        ),
        ("<!DOCTYPE html><html></html>", "is a web page; the download went wrong"),
        ("/annex/objects/SHA256E-s104--0a.csv\n", "is a pointer of git-annex, not the data; run: git annex get"),
        ("PK\3\4\0\0", "is a ZIP archive, or a spreadsheet (.xlsx) under another name"),
        ("<table><tr><td>path</td></tr></table>", "is a web page, or a part of one"),
        ('[{"path": "a.jpg"}]', "is JSON; the download went wrong"),
        ("\n", "is empty; expected a header line with the names of the columns"),
        ("", "is empty; expected a header line with the names of the columns"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, content: str, expected: str) -> None:
    with pytest.raises(CatalogError) as told:
        read(tmp_path / "t.csv", content)
    assert str(told.value) == f"{tmp_path / 't.csv'}: {expected}"


def test_json_lines(tmp_path: Path) -> None:
    text = '{"path": "a.jpg", "n": 1, "tags": ["x"]}\n\n{"path": "b.jpg", "n": 2.5, "new": true}\n'
    assert columns(read(tmp_path / "t.jsonl", text))["n"] == [1.0, 2.5]
    assert columns(read(tmp_path / "t.jsonl", text))["path"] == ["a.jpg", "b.jpg"]
    assert columns(read(tmp_path / "t.jsonl", text))["tags"][0] == '["x"]'


def test_few_broken_lines_of_json_are_left_out_and_many_refused(tmp_path: Path) -> None:
    whole = "\n".join(f'{{"path": "{row}.jpg"}}' for row in range(8))
    table = read(tmp_path / "t.jsonl", f"{whole}\n{{broken\n")
    assert (len(table.frame), table.findings[0]["rows"]) == (8, [9])
    assert read(tmp_path / "t.jsonl", f"{whole}\n{'[' * 100_000}\n").findings[0]["rows"] == [9]
    with pytest.raises(CatalogError, match=r"t\.jsonl: line 1 is no JSON object; expected one on each line$"):
        read(tmp_path / "t.jsonl", "a\nb\n")
    with pytest.raises(CatalogError, match=r"on each line; it looks like one JSON list: write one object a line$"):
        read(tmp_path / "t.jsonl", '[\n{"path": "a.jpg"}\n]\n')


@pytest.mark.parametrize("encoding", ["utf-16", "cp1250"])
def test_json_lines_of_other_encodings(tmp_path: Path, encoding: str) -> None:
    names = ["\u0141\u00f3\u017cko bia\u0142e", "Krzes\u0142o d\u0119bowe", "P\u00f3\u0142ka \u015bcienna"]
    lines = [f'{{"path": "{row}.jpg", "product": "{name}"}}' for row, name in enumerate(names)]
    table = read(tmp_path / "t.jsonl", "\n".join(lines).encode(encoding))
    assert columns(table) == {"path": ["0.jpg", "1.jpg", "2.jpg"], "product": names}
    assert [finding["kind"] for finding in table.findings] == ["table_dialect"]


def test_the_first_of_several_columns_of_a_name_keeps_it(tmp_path: Path) -> None:
    table = read(tmp_path / "t.csv", "path,product,n,product ,product\na.jpg,007,1,8,x\n")
    assert columns(table) == {"path": ["a.jpg"], "product": ["007"], "n": [1], "product_2": [8], "product_3": ["x"]}
    assert table.findings == [
        {
            "kind": "columns_repeated",
            "message": "t.csv: the column 'product' stands 3 times: the first is used, the others are kept as "
            "'product_2' and 'product_3'",
        }
    ]


def test_names_of_json_lines_that_differ_in_blanks_are_told_apart(tmp_path: Path) -> None:
    table = read(tmp_path / "t.jsonl", '{"path": "a.jpg", "n": 1, "n ": 2}\n')
    assert columns(table) == {"path": ["a.jpg"], "n": [1], "n_2": [2]}
    assert table.findings[0]["kind"] == "columns_repeated"


def test_a_line_with_half_of_a_character_takes_no_other_with_it(tmp_path: Path) -> None:
    lines = [f'{{"path": "{row}.jpg", "caption": "\\ud83d\\ude00"}}' for row in range(8)]
    table = read(tmp_path / "t.jsonl", "\n".join([*lines, '{"path": "x.jpg", "tags": [{"a": "\\uD83D"}]}']))
    assert columns(table) == {"path": [f"{row}.jpg" for row in range(8)], "caption": ["\U0001f600"] * 8}
    assert table.findings[0]["message"] == (
        "t.jsonl: 1 line left out, the first: line 9 holds half of a character, such as \\ud83d"
    )
