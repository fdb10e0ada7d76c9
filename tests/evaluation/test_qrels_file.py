"""Files of judged pairs: the forms that are read, and what is refused in which words."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from simtrain.errors import CatalogError
from simtrain.evaluation.qrels_file import read_qrels

PAIRS = [("007", "b", 1.0), ("007", "c d", 0.0), ("e", "007", 2.0)]


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def rows_of(path: Path) -> list[tuple[str, str, float]]:
    found = read_qrels(path, by=None)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    return list(zip(found.queries, found.items, found.grades, strict=True))


def test_tables(tmp_path: Path) -> None:
    text = "Query,item,grade,who\n007,b,1,x\n007,c d,0,x\ne,007,2,y\n"
    assert rows_of(written(tmp_path / "pairs.csv", text)) == PAIRS
    assert rows_of(written(tmp_path / "pairs.tsv", text.replace(",", "\t"))) == PAIRS
    frame = pd.DataFrame(PAIRS, columns=["query", "item", "grade"])
    frame.to_parquet(tmp_path / "pairs.parquet")
    assert rows_of(tmp_path / "pairs.parquet") == PAIRS


def test_without_grades_every_pair_is_relevant_and_repeated_pairs_count_once(tmp_path: Path) -> None:
    path = written(tmp_path / "pairs.csv", "query,item\na,b\na,b\nb,a\n")
    assert rows_of(path) == [("a", "b", 1.0), ("b", "a", 1.0)]


def test_text_of_trec(tmp_path: Path) -> None:
    path = written(tmp_path / "pairs.qrels", "a 0 b 1\na Q0 c -1\nb\t0\ta 3\n")
    assert rows_of(path) == [("a", "b", 1.0), ("a", "c", -1.0), ("b", "a", 3.0)]
    assert len(read_qrels(path, by=None).relevant) == 2


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "p.csv",
            "query,product\na,b\n",
            "no column 'item'; expected query, item and perhaps grade; it has query, product",
        ),
        ("p.csv", "query,itm\na,b\n", "no column 'item'; expected query, item and perhaps grade; did you mean 'itm'?"),
        (
            "p.csv",
            "query,item,item\na,b,c\n",
            "p.csv: the column 'item' stands 2 times: the first is used, the other is kept as 'item_2'; mend or remove "
            "them",
        ),
        ("p.csv", "query,item,grade\na,b,1\na,b,0\n", "rows 1 and 2 grade 'b' for 'a' 1 and 0; keep one"),
        (
            "p.csv",
            "query,item,grade\na,b,good\n",
            "row 1: grade: 'good' is no grade; expected a number, 0 for not relevant",
        ),
        (
            "p.csv",
            "query,item,grade\na,b,nan\n",
            "row 1: grade: 'nan' is no grade; expected a number, 0 for not relevant",
        ),
        ("p.csv", "query,item,grade\na,,1\n", "row 1: item is empty"),
        ("p.csv", "query,item\n", "has no rows"),
        (
            "p.txt",
            "a 0 b 1\na b\n",
            "line 2 has 2 fields; expected 4, as TREC writes them: query 0 item grade. For ids with blanks take a .csv "
            "with the columns query, item, grade",
        ),
        ("p.txt", "", "has no rows"),
        (
            "p.json",
            "[]",
            "not a table of relevant pairs; expected a file with one of: .csv, .tsv, .jsonl, .parquet, .xlsx, .txt, "
            ".qrels",
        ),
    ],
)
def test_files_that_are_refused(tmp_path: Path, name: str, text: str, expected: str) -> None:
    with pytest.raises(CatalogError) as caught:
        read_qrels(written(tmp_path / name, text), by=None)
    assert str(caught.value) == f"{tmp_path / name}: {expected}"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"gone\.csv: no such file; expected a table of relevant pairs"):
        read_qrels(tmp_path / "gone.csv", by=None)
