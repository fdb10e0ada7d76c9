"""The configuration's relevance over a catalogue."""

import hashlib
from pathlib import Path

import pytest
from small_configs import config_of
from tiny_training import catalog_of

from simtrain.builders.relevance import build_relevance, qrels_hashes, unknown_names
from simtrain.config import QrelsConfig, load_compare_config
from simtrain.errors import ConfigError

SHOP = catalog_of(Path("shop"), split=["test"] * 2, product=["a", "b"], label=["x", "x"])
WITH_COLUMN = catalog_of(Path("shop"), split=["test"] * 2, product=["a", "b"], label=["x", "x"], kind=["k", "k"])


def ideas(text: str) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    settings = load_compare_config(None, [f"relevance={text}"]).relevance or []
    return [(one.name, one.columns, one.other) for one in (build_relevance(setting, SHOP) for setting in settings)]


def test_columns_kind_and_other_columns():
    assert ideas("[product, [label, colour], kind, {same: category, other: vendor}, {same: [label]}]") == [
        ("product", ("product",), ()),
        ("label + colour", ("label", "colour"), ()),
        ("kind", ("label",), ("product",)),
        ("kind (category, other vendor)", ("category",), ("vendor",)),
        ("kind", ("label",), ("product",)),
    ]


def test_a_column_called_kind_goes_before_the_idea():
    found = build_relevance("kind", WITH_COLUMN)
    assert (found.name, found.columns, found.other) == ("kind", ("kind",), ())


def test_an_idea_named_twice_is_refused():
    message = r"--set: relevance names label \(other product\) twice"
    with pytest.raises(ConfigError, match=message):
        load_compare_config(None, ["relevance=[{same: label}, {same: [label], other: product}]"])


def test_a_misspelt_key_names_the_right_one():
    with pytest.raises(ConfigError, match=r"^--set: relevance\.0\.sam: unknown key; did you mean 'same'\?$"):
        load_compare_config(None, ["relevance=[{sam: label}]"])


def test_excluded_columns_come_from_the_evaluation():
    found = build_relevance("product", SHOP, exclude=["vendor", "session"])
    assert (found.name, found.excluded) == ("product", ("vendor", "session"))


def judged_file(folder: Path, text: str = "query,item\ni00,i01\n") -> Path:
    path = folder / "judged.csv"
    path.write_text(text)
    return path


def test_a_table_of_judged_pairs(tmp_path: Path):
    path = judged_file(tmp_path)
    settings = load_compare_config(None, [f"relevance=[product, {{qrels: {path}}}, {{qrels: {path}, by: product}}]"])
    product, by_id, by_product = settings.relevance or []
    assert (by_id, by_product) == (QrelsConfig(qrels=str(path)), QrelsConfig(qrels=str(path), by="product"))
    found = build_relevance(by_id, SHOP, exclude=["vendor"])
    assert (found.name, found.columns, found.other, found.excluded) == ("qrels (judged.csv)", (), (), ("vendor",))
    judged_file(tmp_path, "query,item\na,b\n")
    found = build_relevance(by_product, SHOP)
    assert (found.name, found.other) == ("qrels (judged.csv, by product)", ("product",))
    assert found.description.endswith(", other product only")
    assert build_relevance(product, SHOP).qrels is None


def test_hashes_and_unknown_names_of_judged_pairs(tmp_path: Path):
    path = judged_file(tmp_path, "query,item\ni00,i01\ni00,i77\n")
    settings = ["product", QrelsConfig(qrels=str(path))]
    assert qrels_hashes(settings) == {str(path): hashlib.sha256(path.read_bytes()).hexdigest()}
    assert unknown_names(settings, SHOP) == [
        "judged.csv: 1 of its 3 ids are not in the catalogue and do not count: 'i77'"
    ]


def test_judged_pairs_named_twice_and_misspelt_keys_are_refused():
    with pytest.raises(ConfigError, match=r"^--set: relevance names a\.csv twice$"):
        load_compare_config(None, ["relevance=[{qrels: a.csv}, {qrels: a.csv}]"])
    with pytest.raises(ConfigError, match=r"^--set: relevance\.0\.bye: unknown key; did you mean 'by'\?$"):
        load_compare_config(None, ["relevance=[{qrels: a.csv, bye: product}]"])
    with pytest.raises(ConfigError, match=r"relevance\.0\.qrel: unknown key; did you mean 'qrels'\?$"):
        load_compare_config(None, ["relevance=[{qrel: a.csv}]"])
    with pytest.raises(ConfigError, match=r"^--set: relevance\.0\.qrels: got 5; expected text: put it in quotes$"):
        load_compare_config(None, ["relevance=[{qrels: 5}]"])


@pytest.mark.parametrize("kind", ["triplet", "python"])
def test_judged_pairs_are_no_positives_of_training(kind: str):
    target = {"target": "a:B"} if kind == "python" else {}
    with pytest.raises(ConfigError) as caught:
        config_of({"kind": kind, "positive": {"qrels": "a.csv"}, **target})
    assert str(caught.value) == (
        "test: objective.positive: a table of judged pairs (qrels) is for evaluation only: relevance={qrels: FILE}; "
        "training takes positives from a column of equal values, such as product or label"
    )
