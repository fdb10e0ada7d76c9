"""What `simtrain config --explain` says."""

import pytest

from simtrain.config.explanation import explain, first_sentence
from simtrain.errors import ConfigError


def test_a_key() -> None:
    assert explain("trainer.freeze") == (
        "trainer.freeze: list of text; default: []\n"
        "  Parameters of the encoder that are frozen, by name, `*` for any part of it: `network.layer1.*`.\n"
        "\n"
        "example: simtrain fit CONFIG.yaml --set 'trainer.freeze=[network.layer1.*]'"
    )


def test_a_key_that_some_kinds_have() -> None:
    assert explain("objective.margin") == (
        "objective.margin: number, above 0 to 2; default: 0.2\n"
        "  of objective.kind: triplet\n"
        "  Margin between positive and negative in the unit of `distance`, above 0 to 2.\n"
        "\n"
        "example: simtrain fit CONFIG.yaml --set objective.margin=0.4"
    )


def test_a_key_that_differs_from_kind_to_kind() -> None:
    lines = explain("encoder.image_size").splitlines()
    assert lines[:3] == [
        "encoder.image_size: whole number, 32 to 1024, or null; default: null",
        "  of encoder.kind: resnet, timm",
        "  Side of the square input in pixels, 32 to 1024; null: the size that the weights were trained with.",
    ]
    assert "  of encoder.kind: pixels" in lines
    assert "encoder.image_size: whole number, 4 to 256; default: 32" in lines


def test_a_section_lists_its_keys() -> None:
    lines = explain("objective.false_negatives").splitlines()
    assert lines[0] == "objective.false_negatives: section"
    assert lines[4:7] == [
        "keys:",
        "  objective.false_negatives.duplicate_groups  Leave out pairs of one `duplicate_group` of the catalogue "
        "(default: true)",
        "  objective.false_negatives.max_similarity    Leave out pairs whose cosine similarity under the initial "
        "encoder exceeds this, above 0 t… (default: null)",
    ]


def test_a_section_of_several_kinds_lists_them_and_who_has_which_key() -> None:
    lines = explain("encoder").splitlines()
    assert "  pixels      Baseline without weights: the image's pixels themselves, centred." in lines
    bins = next(line for line in lines if line.startswith("  encoder.bins "))
    assert bins.split(maxsplit=1)[1] == "Bins per channel, 2 to 16 (default: 8) [histogram]"
    resize = next(line for line in lines if line.startswith("  encoder.resize "))
    assert resize.endswith("(default: by kind) [resnet, timm, clip, pixels, histogram, python]")
    assert lines[-1] == "example: simtrain fit CONFIG.yaml --set 'encoder={kind: resnet}'"


def test_a_key_of_several_commands_is_told_for_each() -> None:
    assert [line for line in explain("workers").splitlines() if line.startswith("of ")] == [
        "of simtrain prepare:",
        "of simtrain compare:",
    ]


def test_a_key_of_one_command_by_its_word() -> None:
    assert explain("prepare.split.val") == explain("split.val")
    assert explain("run.seed").splitlines()[0] == "seed: whole number, 0 to 2147483647; default: 0"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("trainer.epoch", "--explain trainer.epoch: no such key; did you mean trainer.epochs (run)?"),
        ("lr", "--explain lr: no such key; did you mean optimizer.learning_rate (run)?"),
        ("xyzzy", "--explain xyzzy: no such key"),
    ],
)
def test_a_misspelt_key_names_the_nearest(name: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        explain(name)
    first, second = str(caught.value).splitlines()
    assert first == expected
    assert second.startswith("sections of a run: catalog, run, checkpoints, ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Side in pixels, 1 to 8; null: none.", "Side in pixels, 1 to 8"),
        ("Bins (a few) of it. More.", "Bins of it"),
        ("Share of 0.5 images", "Share of 0.5 images"),
    ],
)
def test_first_sentence(text: str, expected: str) -> None:
    assert first_sentence(text) == expected
