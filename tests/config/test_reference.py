"""The reference page of all settings."""

from pathlib import Path

from simtrain.config.key_tree import keys_of
from simtrain.config.reference import reference
from simtrain.config.schemas import SCHEMAS

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_what_the_schema_gives() -> None:
    again = "simtrain config --reference > docs/configuration.md"
    assert PAGE.read_text(encoding="utf-8") == reference(), f"the settings have changed; run: {again}"


def test_every_key_is_on_the_page_or_in_a_section_that_is_described_elsewhere() -> None:
    page = reference()
    missing = {key.name for schema in SCHEMAS.values() for key in keys_of(schema) if f"`{key.name}`" not in page}
    referring = (
        "encoder.image.",
        "near_duplicates.encoder.",
        "relevance.",
        "evaluation.further_relevance.",
        "thresholds.",
        "objective.miner.",
        "objective.loss.",
    )
    assert [name for name in sorted(missing) if not name.startswith(referring)] == []


def test_every_row_has_four_cells() -> None:
    rows = [line.replace("\\|", "") for line in reference().splitlines() if line.startswith("|")]
    assert len(rows) > 250
    assert {row.count("|") for row in rows} == {5}
