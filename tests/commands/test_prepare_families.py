"""`prepare` with `columns.group`: products of one family are on one side of splits and in one fold."""

import random
from pathlib import Path

import pandas as pd
import pytest
from small_shops import run, save_noise, write_table

from simtrain.config import load_prepare_config
from simtrain.errors import CatalogError, ConfigError


def family_rows(root: Path, *, products: int) -> list[dict[str, str]]:
    """Two images for each product; families of three products and sessions of a few images, drawn at random."""
    draw, rows = random.Random(0), []
    for product in range(products):
        for view in range(2):
            save_noise(root / f"{product}_{view}.png", seed=2 * product + view)
            family = f"f{product // 3}" if product % 7 else "-"
            session = f"s{draw.randrange(products)}" if draw.random() < 0.2 else ""
            row = {"path": f"{product}_{view}.png", "sku": f"p{product:03}", "Family": family, "session": session}
            rows.append(row)
    return rows


def tied(one: pd.Series, other: pd.Series) -> bool:
    return any(
        one[column] == other[column] and one[column] not in ("", "-") and pd.notna(one[column])
        for column in ("product", "Family", "session")
    )


def test_tied_products_share_split_and_fold_and_the_columns_are_kept(tmp_path: Path) -> None:
    table = write_table(tmp_path, family_rows(tmp_path, products=60))
    settings = ("columns.product=sku", "columns.group=[family, session]", "split.folds=3")
    report = run(table, tmp_path / "out", *settings)
    rows = report.catalog.rows
    assert {"Family", "session"} <= set(rows.columns)
    assert set(rows["split"]) == {"train", "val", "test"}
    for left in range(len(rows)):
        for right in range(left):
            if tied(rows.iloc[left], rows.iloc[right]):
                assert rows["split"].iat[left] == rows["split"].iat[right]
                assert rows["fold"].iat[left] == rows["fold"].iat[right]
    assert any(line.startswith("kept on one side of the split by 'Family' and 'session': ") for line in report.lines())
    alone = run(table, tmp_path / "alone", "columns.product=sku").catalog.rows
    assert alone.groupby("Family")["split"].nunique().max() > 1  # else nothing was to be kept together


def test_new_products_of_known_families_move_nothing(tmp_path: Path) -> None:
    rows = [{**row, "session": ""} for row in family_rows(tmp_path, products=60)]
    settings = ("columns.product=sku", "columns.group=family")
    grown = run(write_table(tmp_path, rows), tmp_path / "grown", *settings).catalog.rows.set_index("id")["split"]
    early = [row for number, row in enumerate(rows) if number // 2 % 3 < 2]  # two products of each family
    small = run(write_table(tmp_path, early), tmp_path / "small", *settings).catalog.rows.set_index("id")["split"]
    assert len(small) == 80
    assert small.to_dict() == grown[small.index].to_dict()


def test_given_splits_that_cut_a_family_are_mended_and_told(tmp_path: Path) -> None:
    rows = []
    for number, (family, split) in enumerate([("a", "train"), ("a", "test"), ("b", "val"), ("c", "train")]):
        save_noise(tmp_path / f"{number}.png", seed=number)
        rows.append({"path": f"{number}.png", "product": f"p{number}", "family": family, "split": split})
    report = run(write_table(tmp_path, rows), tmp_path / "out", "columns.group=family")
    assert report.catalog.rows["split"].tolist() == ["test", "test", "val", "train"]
    (finding,) = [finding for finding in report.findings if finding["kind"] == "groups_across_splits"]
    assert (finding["groups"], finding["moved_images"], finding["names"]) == (1, 1, ["family=a"])
    assert (
        "1 group of one product, family or picture stood in several splits, such as '0.png'; moved 1 image to the "
        "strictest (test, else val)"
    ) in report.lines()


def test_a_family_of_nearly_everything_is_told(tmp_path: Path) -> None:
    rows = []
    for number in range(8):
        save_noise(tmp_path / f"{number}.png", seed=number)
        rows.append({"path": f"{number}.png", "product": f"p{number}", "brand": "own" if number < 6 else ""})
    report = run(write_table(tmp_path, rows), tmp_path / "out", "columns.group=brand")
    (finding,) = [finding for finding in report.findings if finding["kind"] == "families_tie_most"]
    assert (finding["images"], finding["products"]) == (6, 6)
    assert finding["message"] in report.lines()


def test_columns_that_play_a_part_or_are_renamed_can_tie_too(tmp_path: Path) -> None:
    rows = []
    for number in range(6):
        save_noise(tmp_path / f"{number}.png", seed=number)
        names = {"product": f"p{number}", "label": f"l{number // 2}", "kind": "k", "width": f"w{number // 3}"}
        rows.append({"path": f"{number}.png", **names})
    settings = ("columns.label=kind", "columns.group=[label, width]")
    report = run(write_table(tmp_path, rows), tmp_path / "out", *settings)
    (finding,) = [finding for finding in report.findings if finding["kind"] == "families_tie_most"]
    assert finding["message"].startswith("columns.group: 'source_label' and 'source_width' ties 6 images")
    by_label = run(write_table(tmp_path, rows), tmp_path / "by_label", "columns.group=label").catalog.rows
    assert by_label.groupby("label")["split"].nunique().max() == 1


def test_a_column_that_the_table_lacks_is_refused(tmp_path: Path) -> None:
    save_noise(tmp_path / "0.png", seed=0)
    table = write_table(tmp_path, [{"path": "0.png", "family": "a"}])
    with pytest.raises(CatalogError, match=r"table\.csv: columns\.group: no column 'famly'; did you mean 'family'\?$"):
        run(table, tmp_path / "out", "columns.group=famly")
    with pytest.raises(CatalogError, match=r"columns\.group: no column 'x'; it has path, family$"):
        run(table, tmp_path / "out", "columns.group=[family, x]")


def test_a_number_in_a_list_of_columns_is_a_name() -> None:
    assert load_prepare_config(None, ["columns.group=[1]"]).columns.group == ["1"]


@pytest.mark.parametrize("value", ["[]", "{a: b}"])
def test_values_that_name_no_column_are_refused(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_prepare_config(None, [f"columns.group={value}"])
    found = {"{a: b}": "{'a': 'b'}"}.get(value, value)
    assert str(caught.value) == (
        f"--set: columns.group: got {found}; allowed: the name of a column, or a list of names such as "
        "[family, session]"
    )
