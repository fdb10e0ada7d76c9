"""Excel sheets as tables: what their cells become, and what is refused of them."""

import datetime
import re
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from small_shops import run, save_noise

from simtrain.catalog.sources import spreadsheet
from simtrain.catalog.sources.csv_dialect import Dialect
from simtrain.catalog.sources.table_file import TableFile, read_table_file
from simtrain.errors import CatalogError


def write_book(path: Path, *sheets: list[list[Any]], hidden: tuple[int, ...] = ()) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"sheet {number}")
        sheet.sheet_state = "hidden" if number in hidden else "visible"
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def read(path: Path) -> TableFile:
    return read_table_file(path, text_columns=(), dialect=Dialect(encoding=None, separator=None))


def message(path: Path) -> str:
    with pytest.raises(CatalogError) as caught:
        read(path)
    return str(caught.value)


def test_cells_are_what_a_person_sees(tmp_path: Path) -> None:
    path = write_book(
        tmp_path / "shop.xlsx",
        [
            [],
            [None, "path ", "sku", "ean", "price", "new", "since", "seen", "note"],
            [None, "a.jpg", "00123", 4006381333931, 1.5, True, datetime.datetime(2026, 1, 2), datetime.time(9, 30), 7],
            [],
            [None, "b.jpg", "00124", 4006381333948.0, 2, False, datetime.datetime(2026, 1, 3, 4, 5), None, "کفش"],
        ],
    )
    table = read(path)
    assert table.findings == []
    assert table.frame.astype(object).where(table.frame.notna(), None).to_dict("list") == {
        "path": ["a.jpg", "b.jpg"],
        "sku": ["00123", "00124"],
        "ean": [4006381333931, 4006381333948],
        "price": [1.5, 2.0],
        "new": [True, False],
        "since": ["2026-01-02", "2026-01-03 04:05:00"],
        "seen": ["09:30:00", None],
        "note": ["7", "کفش"],
    }
    assert table.frame["ean"].dtype == "int64"


def test_errors_of_formulas_and_other_sheets_are_told(tmp_path: Path) -> None:
    rows = [["path", "product"], ["a.jpg", "#N/A"], ["b.jpg", "p"]]
    table = read(write_book(tmp_path / "shop.xlsx", [["secret"], ["x"]], [], rows, [["more"], [1]], hidden=(0,)))
    assert table.frame["product"].tolist()[1] == "p"
    assert table.frame["product"].isna().tolist() == [True, False]
    (told,) = (finding["message"] for finding in table.findings)
    assert told == (
        "shop.xlsx: the sheet 'sheet 2' is read, 'sheet 1' and 'sheet 3' not; to read another one, put it first; 1 "
        "cell with the error of a formula, such as #N/A, taken as empty"
    )


@pytest.mark.parametrize("part", [1, 7, 1 << 20])
def test_what_a_sheet_does_not_hold_for_each_row_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(spreadsheet, "_PART", part)
    book = openpyxl.Workbook()
    for row in (["path", "product", "total"], *([f"{number}.jpg", number, f"=B{number}"] for number in range(6))):
        book.active.append(row)
    for cells in ("B2:B3", "B4:B5", "A7:B7"):  # the last one within a row
        book.active.merge_cells(cells)
    book.save(tmp_path / "shop.xlsx")
    (told,) = (finding["message"] for finding in read(tmp_path / "shop.xlsx").findings)
    assert told == (
        "shop.xlsx: 2 cells merged over rows: the first row has the value, the others have none; fill them; 6 cells "
        "with a formula whose result was not saved, taken as empty; open the file in Excel and save it; 'total' "
        "without a value"
    )


def test_formulas_whose_results_were_not_saved_are_told(tmp_path: Path) -> None:
    rows = [["path", "sku", "note"], ['="a.jpg"', "=100+2", "first"], ["b.jpg", "=100+3", '=IF(TRUE,"","")']]
    table = read(write_book(tmp_path / "shop.xlsx", rows))
    assert [finding["message"] for finding in table.findings] == [
        "shop.xlsx: 4 cells with a formula whose result was not saved, taken as empty; open the file in Excel and save "
        "it; 'sku' without a value"
    ]


def test_an_empty_text_that_a_formula_gave_is_a_result(tmp_path: Path) -> None:
    path = write_book(tmp_path / "shop.xlsx", [["path", "note"], ["a.jpg", "=1"], ["b.jpg", "x"]])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = re.sub(rb'<c r="B2"[^>]*>', b'<c r="B2" t="str">', parts[sheet])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert read(path).findings == []


def test_a_note_before_the_table_is_no_table(tmp_path: Path) -> None:
    note, table = [["Export of the shop"]], [["path", "sku"], ["a.jpg", "1"], ["b.jpg", "2"]]
    found = read(write_book(tmp_path / "shop.xlsx", note, table, [["later", "sheet"], ["c.jpg", "3"]]))
    assert list(found.frame["path"]) == ["a.jpg", "b.jpg"]
    assert "the sheet 'sheet 1' is read, 'sheet 0' and 'sheet 2' not" in found.findings[0]["message"]


def test_titles_above_the_header_are_passed_over(tmp_path: Path) -> None:
    rows = [[None, "Our products"], [2024], ["path", "product"], ["a.jpg", 7], ["b.jpg", 8]]
    table = read(write_book(tmp_path / "shop.xlsx", rows))
    assert {name: table.frame[name].tolist() for name in table.frame} == {"path": ["a.jpg", "b.jpg"], "product": [7, 8]}
    assert table.findings[0]["remarks"] == ["2 rows above the header passed over, such as 'Our products'"]


def test_columns_without_a_name(tmp_path: Path) -> None:
    table = read(write_book(tmp_path / "shop.xlsx", [["path", None, None], ["a.jpg", None, 3], ["b.jpg"]]))
    assert list(table.frame.columns) == ["path", "column_3"]


@pytest.mark.parametrize("sheets", [[[]], [[[None, " "]]], [[["path", "product"]]]])
def test_a_sheet_without_rows_is_refused(tmp_path: Path, sheets: list[list[list[Any]]]) -> None:
    assert message(write_book(tmp_path / "shop.xlsx", *sheets)).endswith("shop.xlsx: has no rows")


def test_the_first_of_two_columns_of_one_name_keeps_it(tmp_path: Path) -> None:
    table = read(write_book(tmp_path / "shop.xlsx", [["path", "a", "a "], ["x", 1, 2]]))
    assert {name: table.frame[name].tolist() for name in table.frame} == {"path": ["x"], "a": [1], "a_2": [2]}
    assert [finding["kind"] for finding in table.findings] == ["columns_repeated"]


def test_without_the_package_the_command_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_book(tmp_path / "shop.xlsx", [["path"], ["a.jpg"]])
    monkeypatch.setattr(spreadsheet, "find_spec", lambda name: None)
    assert message(path) == (
        f"{path}: Excel sheets need openpyxl: pip install 'simtrain[xlsx]', or save the sheet as .csv"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is no Excel file (.xlsx), or damaged"),
        (b"path,product\na.jpg,1\n", "is no Excel file (.xlsx), or damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "has a password, or is of an old Excel (.xls)"),
    ],
)
def test_what_is_no_sheet_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "shop.xlsx"
    path.write_bytes(content)
    assert message(path) == f"{path}: {reason}; save it as .xlsx without a password, or as .csv"


def rewritten(path: Path, name: str, change: Any) -> Path:
    """The file with one of its members changed."""
    target = path.with_name("changed.xlsx")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            content = old.read(member)
            new.writestr(member, change(content) if member == name else content)
    return target


def test_damage_inside_is_told(tmp_path: Path) -> None:
    path = write_book(tmp_path / "shop.xlsx", [["path"], ["a.jpg"]])
    damaged = rewritten(path, "xl/workbook.xml", lambda content: content[: len(content) // 2])
    assert message(damaged).startswith(f"{damaged}: damaged: ")
    assert message(damaged).endswith("; save it again, or as .csv")


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheet, "_LARGEST_CONTENT", 10**6)
    path = write_book(tmp_path / "shop.xlsx", [["path"], ["a.jpg"]])
    bomb = rewritten(path, "xl/workbook.xml", lambda content: content + bytes(3 * 10**6))
    assert message(bomb) == f"{bomb}: unpacks to 0 GB, more than 2; save the sheet as .csv"


def test_blanks_that_would_fill_the_memory_are_refused(tmp_path: Path) -> None:
    path = write_book(tmp_path / "shop.xlsx", [["path"], ["a.jpg"]])
    bomb = rewritten(path, "xl/worksheets/sheet1.xml", lambda content: content + b" " * (20 << 20))
    assert message(bomb) == f"{bomb}: unpacks to more than 200 times its size; save the sheet as .csv"


def test_a_row_that_no_sheet_has_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheet, "_MOST_ROWS", 1000)
    path = write_book(tmp_path / "shop.xlsx", [["path"], ["a.jpg"]])
    far = rewritten(path, "xl/worksheets/sheet1.xml", lambda content: content.replace(b'r="2"', b'r="99999999999"'))
    assert message(far) == f"{far}: has more than 1,000 rows, which no sheet of Excel has"


def test_columns_that_no_sheet_has_are_refused(tmp_path: Path) -> None:
    path = write_book(tmp_path / "t.xlsx", [["path", "n"], ["a.jpg", 1]])
    wide = b'<row r="3"><c r="XFE3"><v>1</v></c></row></sheetData>'
    far = rewritten(path, "xl/worksheets/sheet1.xml", lambda content: content.replace(b"</sheetData>", wide))
    assert message(far) == f"{far}: has more than 16,384 columns, which no sheet of Excel has"


@pytest.mark.parametrize(
    "rows",
    [
        [["path"], *(["a.jpg", *[None] * 50, 1] for _ in range(20))],  # 1,040 cells, most of them empty
        [["path", *range(50)], *(["a.jpg"] for _ in range(20))],  # few cells, which fill a table of 1,020
    ],
)
def test_a_sheet_of_too_many_cells_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[list[Any]]
) -> None:
    path = write_book(tmp_path / "t.xlsx", rows)
    assert len(read(path).frame) == 20
    monkeypatch.setattr(spreadsheet, "_MOST_CELLS", 1000)
    assert message(path) == f"{path}: has more than 1,000 cells; save the sheet as .csv"


def test_a_catalogue_of_a_sheet_is_that_of_the_same_csv(tmp_path: Path) -> None:
    header, rows = ["path", "product", "price"], [[f"{n}.png", f"p{n // 2}", n + 0.5] for n in range(8)]
    for number in range(8):
        save_noise(tmp_path / f"{number}.png", seed=number)
    write_book(tmp_path / "shop.xlsx", [header, *rows])
    pd.DataFrame(rows, columns=header).to_csv(tmp_path / "shop.csv", index=False)
    found = [run(tmp_path / f"shop.{kind}", tmp_path / kind).catalog.rows for kind in ("xlsx", "csv")]
    pd.testing.assert_frame_equal(*found)


@pytest.mark.parametrize("suffix", [".xls", ".ods", ".numbers"])
def test_other_spreadsheets_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"shop{suffix}"
    path.write_bytes(b"x")
    with pytest.raises(CatalogError) as caught:
        run(path, tmp_path / "out")
    assert str(caught.value) == f"{path}: a spreadsheet that is not read; save it as .xlsx or .csv"
