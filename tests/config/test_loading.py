"""From YAML and `--set` to a configuration and back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simtrain.config import (
    PixelsConfig,
    PrepareConfig,
    RunConfig,
    TransformConfig,
    apply_overrides,
    differences,
    dump_yaml,
    is_config_file,
    load_compare_config,
    load_prepare_config,
    load_run_config,
    parse_run_config,
)
from simtrain.config.relevance import KindConfig, QrelsConfig

SMALLEST = "catalog: data/shop\nencoder: {kind: pixels}\nobjective: {kind: simclr}\n"
RUNS = {
    "smallest": SMALLEST,
    "resnet_simclr": """
catalog: /data/shop
run: first
relevance: [category, colour]
encoder: {kind: resnet, model: resnet18, weights: IMAGENET1K_V1, image_size: 128, embedding_size: 64}
objective: {kind: simclr, positive: product, temperature: 5e-2, projection_head: {hidden_size: 64}}
data: {limit_batch_to: category, workers: 0}
""",
    "timm_triplet": """
catalog: "ünïcode: #1"
encoder: {kind: timm, model: vit_tiny_patch16_224.augreg_in21k, weights: package:some/file.pth, weights_match: order}
objective: {kind: triplet, positive: label, images_per_group: 4, distance: euclidean, miner: semi_hard}
optimizer: {learning_rate: 1e-5, betas: [0.8, 0.95], gradient_clip_norm: null}
""",
    "histogram_metric_learning": """
catalog: shop
encoder: {kind: histogram, space: hsv, bins: 4, resize: pad}
objective:
  kind: metric_learning
  loss: {name: MultiSimilarityLoss, parameters: {alpha: 2, beta: 5.0e+1, base: 1e-1}}
  miner: {name: MultiSimilarityMiner}
augmentation: {transforms: [{name: HorizontalFlip}, {name: Affine, parameters: {scale: [0.8, 1.2], p: 1}}]}
evaluation: {gallery_splits: [train, val], confidence: 0.9}
export: {index: "IVF16,Flat", onnx: false}
""",
}

Write = Callable[[str | bytes], Path]


def at(config: RunConfig, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


@pytest.mark.parametrize("text", RUNS.values(), ids=RUNS.keys())
def test_dump_with_all_defaults_loads_to_the_same_run(write: Write, text: str):
    config = load_run_config(write(text), [])
    assert load_run_config(write(dump_yaml(config)), []) == config


@pytest.mark.parametrize("overrides", [[], ["columns.label=colour", "levels=[split, label]", "split.val=1e-1"]])
def test_dump_of_prepare_settings_loads_to_the_same_settings(write: Write, overrides: list[str]):
    config = load_prepare_config(None, overrides)
    assert load_prepare_config(write(dump_yaml(config)), []) == config


printable = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=8)
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | printable | st.text("-+.09e", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(printable, inner, max_size=3),
    max_leaves=5,
)


@given(parameters=st.dictionaries(printable, plain_values, max_size=3))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_dump_keeps_any_free_parameters(write: Write, parameters: dict[str, Any]):
    step = TransformConfig(name="Any", parameters=parameters)
    config = parse_run_config(
        {
            "catalog": "x",
            "run": "x",
            "encoder": {"kind": "pixels"},
            "objective": {"kind": "simclr"},
            "augmentation": {"transforms": [step.model_dump()]},
        },
        where="test",
    )
    assert load_run_config(write(dump_yaml(config)), []).augmentation.transforms == [step]


def test_run_is_named_after_its_file(write: Write):
    assert load_run_config(write(SMALLEST), []).run == "shop"


def test_run_keeps_its_own_name(write: Write):
    assert load_run_config(write(SMALLEST + "run: spring-2024.v2\n"), []).run == "spring-2024.v2"


def test_prepare_needs_no_file():
    assert load_prepare_config(None, []) == PrepareConfig()


def test_date_is_read_as_the_text_it_is(write: Write):
    assert load_run_config(write(SMALLEST + "run: 2024-05-01\n"), []).run == "2024-05-01"


def test_yaml_merges_an_anchor(write: Write):
    text = "catalog: x\nencoder: &small {kind: pixels, image_size: 8}\nobjective: {kind: simclr}\n"
    again = "augmentation: {transforms: [{name: A, parameters: {<<: *small, image_size: 9}}]}\n"
    steps = load_run_config(write(text + again), []).augmentation.transforms
    assert steps == [TransformConfig(name="A", parameters={"kind": "pixels", "image_size": 9})]


@pytest.mark.parametrize("written", ["1e-4", "1.e-4", "1.0e-4", "1E-4", "+.1e-3", "0.0001"])
def test_number_with_an_exponent_is_a_number_in_a_file(write: Write, written: str):
    text = f"{SMALLEST}augmentation: {{transforms: [{{name: A, parameters: {{p: {written}}}}}]}}\n"
    steps = load_run_config(write(text), []).augmentation.transforms
    assert steps is not None
    assert steps[0].parameters == {"p": 0.0001}


@pytest.mark.parametrize(
    ("override", "key", "expected"),
    [
        ("optimizer.learning_rate=1e-4", "optimizer.learning_rate", 0.0001),
        ("optimizer.learning_rate=2E-3", "optimizer.learning_rate", 0.002),
        ("data.batch_size=32", "data.batch_size", 32),
        ("trainer.freeze_batch_norm=false", "trainer.freeze_batch_norm", False),
        ("optimizer.betas=[5e-1, 0.75]", "optimizer.betas", (0.5, 0.75)),
        ("relevance=[category, colour]", "relevance", ["category", "colour"]),
        ("optimizer.gradient_clip_norm=null", "optimizer.gradient_clip_norm", None),
        ("optimizer.gradient_clip_norm=", "optimizer.gradient_clip_norm", None),
        ("objective.projection_head.output_size=16", "objective.projection_head.output_size", 16),
        ("objective={kind: triplet, margin: 0.5}", "objective.margin", 0.5),
        ("catalog=a=b", "catalog", "a=b"),
        ("run='1e5'", "run", "1e5"),
        (" seed =7", "seed", 7),
        (
            "augmentation.transforms=[{name: A, parameters: {p: 1e-1}}]",
            "augmentation.transforms",
            [TransformConfig(name="A", parameters={"p": 0.1})],
        ),
    ],
)
def test_set_replaces_a_key(write: Write, override: str, key: str, expected: Any):
    assert at(load_run_config(write(SMALLEST), [override]), key) == expected


def test_last_set_of_a_key_wins(write: Write):
    assert load_run_config(write(SMALLEST), ["seed=1", "seed=2"]).seed == 2


def test_set_can_supply_what_the_file_lacks(write: Write):
    overrides = ["catalog=x", "encoder.kind=pixels", "encoder.image_size=8", "objective.kind=simclr"]
    config = load_run_config(write("seed: 3\n"), overrides)
    assert (config.seed, config.encoder) == (3, PixelsConfig(kind="pixels", image_size=8))


def test_set_leaves_the_tree_it_was_given():
    tree: dict[str, Any] = {"data": {"batch_size": 4}}
    assert apply_overrides(tree, ["data.batch_size=8"]) == {"data": {"batch_size": 8}}
    assert tree == {"data": {"batch_size": 4}}


def test_differences_are_the_changed_keys(write: Write):
    before = load_run_config(write(SMALLEST), [])
    after = load_run_config(write(SMALLEST), ["seed=3", "optimizer.betas=[0.8, 0.9]", "relevance=[a, b]"])
    assert differences(before, after) == [
        "optimizer.betas: [0.9, 0.999] -> [0.8, 0.9]",
        'relevance: "product" -> ["a", "b"]',
        "seed: 0 -> 3",
    ]


def test_differences_follow_another_kind(write: Write):
    before = load_run_config(write(SMALLEST), [])
    after = load_run_config(write(SMALLEST), ["encoder={kind: histogram, resize: pad}"])
    assert differences(before, after) == [
        "encoder.bins: null -> 8",
        "encoder.image_size: 32 -> 96",
        'encoder.kind: "pixels" -> "histogram"',
        'encoder.space: null -> "hsv"',
    ]


def test_same_configuration_has_no_differences(write: Write):
    config = load_run_config(write(RUNS["histogram_metric_learning"]), [])
    assert differences(config, config.model_copy()) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shop.yaml", True),
        (Path("configs") / "shop.YML", True),
        ("shop", False),
        ("timm:resnet18=shop.yaml", False),
        ("2026:05.yaml", True),
        ({"kind": "pixels"}, False),
    ],
)
def test_a_yaml_file_is_told_from_the_name_of_an_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: object, expected: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("2026:05.yaml").write_text("")
    assert is_config_file(name) is expected


@pytest.mark.parametrize(
    ("typed", "key", "expected"),
    [
        ("relevance=label", "relevance", ["label"]),
        ("relevance={qrels: judged.csv}", "relevance", [QrelsConfig(qrels="judged.csv")]),
        ("encoders=pixels", "encoders", ["pixels"]),
        ("headline_metrics=map_at_r", "headline_metrics", ["map_at_r"]),
        ("gallery_splits=train", "gallery_splits", ["train"]),
    ],
)
def test_one_of_a_list_needs_no_brackets(typed: str, key: str, expected: list[object]) -> None:
    assert getattr(load_compare_config(None, [typed]), key) == expected


def test_checked_settings_of_a_comparison_take_overrides(tmp_path: Path) -> None:
    (tmp_path / "compare.yaml").write_text("encoders: [pixels]\ndraws: 2000\n")
    checked = load_compare_config(tmp_path / "compare.yaml", ["split=val"])
    assert load_compare_config(checked, []) == checked
    assert load_compare_config(checked, ["draws=3000"]) == checked.model_copy(update={"draws": 3000})


@pytest.mark.parametrize(
    "name",
    ["Shop #2", "2024", "no", "2026-13-45", "[new] cat", "@shop", "a: b", "0x10", "1e3", " shop ", "~", "9" * 5000],
)
def test_text_that_was_typed_stays_text(write: Write, name: str):
    assert load_run_config(write(SMALLEST), [f"catalog={name}"]).catalog == name


@pytest.mark.parametrize(("typed", "expected"), [("'Shop #2'", "Shop #2"), ('"a\\tb"', "a\tb"), ("'tis", "'tis")])
def test_quotes_around_all_of_a_text_are_taken_away(write: Write, typed: str, expected: str):
    assert load_run_config(write(SMALLEST), [f"catalog={typed}"]).catalog == expected


@pytest.mark.parametrize(("typed", "expected"), [("null", None), ("", None), ("2024", "2024"), ("yes", "yes")])
def test_text_or_null(write: Write, typed: str, expected: str | None):
    assert load_run_config(write(SMALLEST), [f"init_from={typed}"]).init_from == expected


@pytest.mark.parametrize(("typed", "expected"), [("2024", "2024"), ("false", False), ("null", None), ("sku", "sku")])
def test_text_of_prepare_stays_text(typed: str, expected: object):
    assert load_prepare_config(None, [f"columns.product={typed}"]).columns.product == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("colour", "colour"), ("2024", "2024"), ("no", "no"), ("[a, b]", ["a", "b"]), ("Shop #2", "Shop #2")],
)
def test_text_or_a_list(write: Write, typed: str, expected: Any):
    assert load_run_config(write(SMALLEST), [f"relevance={typed}"]).relevance == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("[2024, no]", ["2024", "no"]),
        ("[]", []),
        ("['a, b', c,]", ["a, b", "c"]),
        ('["a\\tb"]', ["a\tb"]),
        ("[{label}, a {label}, {colour} mug]", ["{label}", "a {label}", "{colour} mug"]),
        ("[a: b, Shop #2]", ["a: b", "Shop #2"]),
        ("[it's]", ["it's"]),
    ],
)
def test_lists_of_texts_need_no_quoting(write: Write, typed: str, expected: list[str]):
    assert (
        load_run_config(write(SMALLEST), [f"evaluation.label_templates={typed}"]).evaluation.label_templates == expected
    )


def test_lists_of_columns_may_be_mixed_with_sections(write: Write):
    config = load_compare_config(None, ["relevance=[label, {same: category, other: product}]"])
    assert config.relevance == ["label", KindConfig(same="category")]


@pytest.mark.parametrize("pattern", ["[^/]+_..", "[a-z]", "([^/]+)_\\d+\\.jpg$", "(?P<p>a): #b", "{2}"])
def test_a_pattern_needs_no_quoting(pattern: str):
    assert load_prepare_config(None, [f"product_pattern={pattern}"]).product_pattern == pattern


def test_digits_of_a_text_are_kept(write: Write):
    assert load_run_config(write(SMALLEST), ["run=007"]).run == "007"


def test_a_template_needs_no_quoting(write: Write):
    assert load_run_config(write(SMALLEST), ["evaluation.captions=a: {label}"]).evaluation.captions == "a: {label}"
