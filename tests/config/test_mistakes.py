"""How each mistake in a configuration is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from simtrain.config import apply_overrides, load_prepare_config, load_run_config, parse_run_config
from simtrain.errors import ConfigError, nearest

SMALLEST = "catalog: data/shop\nencoder: {kind: pixels}\nobjective: {kind: simclr}\n"
TOP_LEVEL = (
    "catalog, run, checkpoints, seed, fold, relevance, encoder, init_from, objective, augmentation, data, optimizer, "
    "trainer, evaluation, tracking, export"
)

Write = Callable[[str | bytes], Path]

NAMES = "allowed: letters, digits, _ . and -, the first one a letter, a digit or _"


def complaint(path: Path, *overrides: str) -> str:
    """What `load_run_config` says, without the file's name in front of each line."""
    with pytest.raises(ConfigError) as caught:
        load_run_config(path, overrides)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return "\n".join(line.removeprefix(f"{path}: ") for line in lines)


@pytest.mark.parametrize("override", ["seed", "=1", "data.=1", ".seed=1", "data..workers=1", ""])
def test_set_without_key_or_value_is_an_error(override: str):
    with pytest.raises(ConfigError) as caught:
        apply_overrides({}, [override])
    assert str(caught.value) == f"--set {override}: expected key=value, such as optimizer.learning_rate=1e-4"


def test_set_through_a_value_is_an_error():
    with pytest.raises(ConfigError) as caught:
        apply_overrides({"catalog": "shop"}, ["catalog.folder=x"])
    assert str(caught.value) == "--set catalog.folder=x: 'catalog' is a value, not a section"


@pytest.mark.parametrize("override", ["relevance=[a", "encoder={kind: pixels, kind: timm}", "seed=" + "[" * 1000])
def test_set_to_what_is_not_yaml_is_an_error(override: str):
    with pytest.raises(ConfigError) as caught:
        apply_overrides({}, [override])
    shown = override if len(override) <= 120 else f"{override[:117]}..."
    assert str(caught.value).startswith(f"--set {shown}: the value is not YAML: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["encodr.kind=timm"], "encodr: unknown key; did you mean 'encoder'?"),
        (["zzz=1"], f"zzz: unknown key; allowed: {TOP_LEVEL}"),
        (["trainer.devices=0"], "trainer.devices: got 0; allowed: auto, 1 to 1024, or a list of GPUs such as [0, 2]"),
        (
            ["trainer.devices=all"],
            "trainer.devices: got 'all'; allowed: auto, 1 to 1024, or a list of GPUs such as [0, 2]",
        ),
        (
            ["trainer.devices=[0, 0]"],
            "trainer.devices: got [0, 0]; allowed: numbers of GPUs, each once, such as [0, 2]",
        ),
        (["trainer.devices=[]"], "trainer.devices: got []; allowed: numbers of GPUs, each once, such as [0, 2]"),
        (["optimizer.learning_rat=1"], "optimizer.learning_rat: unknown key; did you mean 'learning_rate'?"),
        (
            ["encoder={kind: two_towers, text: x, image_size: 64, image: {kind: timm, model: resnet50}}"],
            "encoder.image_size: unknown key of encoder.kind: two_towers; resnet, timm, clip, pixels, histogram and "
            "python have it; here there is 'encoder.image.image_size'",
        ),
        (["encoder.image_sze=8"], "encoder.image_sze: unknown key; did you mean 'image_size'?"),
        (
            ["encoder.model=resnet18"],
            "encoder.model: unknown key of encoder.kind: pixels; resnet, timm and clip have it",
        ),
        (
            ["encoder={kind: clip, whitening: {}}"],
            "encoder.whitening: whitening moves images out of the space of their texts; set it to null",
        ),
        (
            ["encoder={kind: two_towers, image: {kind: resnet, whitening: {power: 0.25}}}"],
            "encoder.image: whitening: whitening moves images out of the space of their texts; set it to null",
        ),
        (["encoder={kind: clip, pooling: gem}"], "encoder.pooling: got 'gem'; input should be 'default'"),
        (
            ["encoder={kind: resnet, whitening: {power: 1}}"],
            "encoder.whitening.power: got 1; input should be less than or equal to 0.5",
        ),
        (
            ["objective.projection_head.hiden_size=8"],
            "objective.projection_head.hiden_size: unknown key; did you mean 'hidden_size'?",
        ),
        (
            ["augmentation.transforms=[{name: A, parameter: {}}]"],
            "augmentation.transforms.0.parameter: unknown key; did you mean 'parameters'?",
        ),
        (
            ["augmentation.transforms=[{name: HorizontalFlip}]", "augmentation.crop=0.5"],
            "augmentation: augmentation.crop changes a preset; augmentation.transforms stands in place of one: set one "
            "of the two",
        ),
        (
            ["augmentation.engine=albumentations", "augmentation.device=trainer"],
            "augmentation: augmentation.device trainer makes the fused parts of a preset; got augmentation.engine "
            "albumentations; take loader",
        ),
        (
            ["encoder.kind=pixel"],
            "encoder.kind: got 'pixel'; allowed: 'resnet', 'timm', 'clip', 'two_towers', 'pixels', 'histogram', "
            "'python'; did you mean 'pixels'?",
        ),
        (
            ["objective.kind=contrastive"],
            "objective.kind: got 'contrastive'; "
            "allowed: 'distill', 'simclr', 'triplet', 'metric_learning', 'image_text', 'python'",
        ),
        (
            ["encoder={}"],
            "encoder.kind: missing; allowed: 'resnet', 'timm', 'clip', 'two_towers', 'pixels', 'histogram', 'python'",
        ),
        (["objective={kind: metric_learning}"], "objective.loss: missing; it has no default"),
        (["optimizer.betas=[0.5]"], "optimizer.betas.1: missing; it has no default"),
        (["data.batch_size=1"], "data.batch_size: got 1; input should be greater than or equal to 2"),
        (["optimizer.betas=[0.5, 2]"], "optimizer.betas.1: got 2; input should be less than 1"),
        (["optimizer.learning_rate=.inf"], "optimizer.learning_rate: got inf; input should be a finite number"),
        (["run=" + "/" * 70], f"run: got '{'/' * 56}...; {NAMES}"),
        (["encoder.resize=fit"], "encoder.resize: got 'fit'; input should be 'pad', 'crop' or 'squash'"),
        (["run=a/b"], f"run: got 'a/b'; {NAMES}"),
    ],
)  # fmt: skip
def test_mistake_names_the_key_and_what_is_allowed(write: Write, overrides: list[str], expected: str):
    assert complaint(write(SMALLEST), *overrides) == expected


@pytest.mark.parametrize("key", ["catalog", "encoder", "objective"])
def test_missing_key_is_named(write: Write, key: str):
    text = "".join(line for line in SMALLEST.splitlines(keepends=True) if not line.startswith(key))
    assert complaint(write(text)) == f"{key}: missing; it has no default"


def test_two_mistakes_are_told_and_the_rest_counted(write: Write):
    found = complaint(write(SMALLEST), "seed=-1", "data.batch_size=1", "trainer.epochs=0", "data.workers=-1")
    assert found == (
        "seed: got -1; input should be greater than or equal to 0\n"
        "data.batch_size: got 1; input should be greater than or equal to 2 (and 2 more)"
    )


def test_mistake_of_prepare_settings_without_a_file_names_the_option():
    with pytest.raises(ConfigError) as caught:
        load_prepare_config(None, ["sede=1"])
    assert str(caught.value) == "--set: sede: unknown key; did you mean 'seed'?"


def test_where_opens_the_message_of_a_parsed_tree():
    with pytest.raises(ConfigError) as caught:
        parse_run_config({"encoder": {"kind": "pixels"}, "objective": {"kind": "simclr"}}, where="run 'a'")
    assert str(caught.value) == "run 'a': catalog: missing; it has no default"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            ["objective.kind=triplet", "objective.images_per_group=4", "data.batch_size=10"],
            "data.batch_size 10 does not hold two whole groups of objective.images_per_group 4; "
            "take a multiple of 4, 8 or more",
        ),
        (
            ["objective.kind=triplet", "objective.images_per_group=4", "data.batch_size=4"],
            "data.batch_size 4 does not hold two whole groups of objective.images_per_group 4; "
            "take a multiple of 4, 8 or more",
        ),
        (
            ["data.limit_batch_to=label"],
            "data.limit_batch_to needs groups; it does not go with positive: augmentation",
        ),
        (
            ["objective={kind: metric_learning, loss: {name: A, parameters: {distance: x}}}"],
            "objective: distance cannot be set here: embeddings are unit vectors, and the class keeps its own",
        ),
        (
            ["objective={kind: image_text}"],
            "objective.kind: image_text needs an encoder that reads texts, encoder.kind: clip or two_towers; "
            "got pixels",
        ),
        (
            ["objective.texts={weight: 1}"],
            "objective.texts needs an encoder that reads texts, encoder.kind: clip or two_towers; got pixels",
        ),
        (
            ["encoder={kind: clip}", "objective={kind: image_text}", "data.limit_batch_to=label"],
            "data.limit_batch_to needs groups; it does not go with objective.kind: image_text",
        ),
        (
            ["evaluation.monitor=text_to_image_recall_at_1"],
            "evaluation.monitor text_to_image_recall_at_1 needs an encoder that reads texts, encoder.kind: clip or "
            "two_towers; got pixels",
        ),
        (
            ["encoder={kind: clip}", "evaluation.distractors=train"],
            "evaluation.distractors: the text metrics of this encoder are of the same images, and texts of training "
            "images are no test; set evaluation.captions=null and evaluation.label_templates=[], or "
            "evaluation.distractors=null",
        ),
        (
            ["encoder={kind: clip, train_text: true}"],
            "encoder.train_text: no loss reads texts here; set it to false, or add objective.texts, or take "
            "objective.kind: image_text",
        ),
        (
            ["encoder={kind: clip, train_text: true, text_model: other}", "objective={kind: image_text}"],
            "encoder.train_text: encoder.text_model stays as it is; set one of the two",
        ),
    ],
)
def test_settings_that_do_not_go_together(write: Write, overrides: list[str], expected: str):
    assert complaint(write(SMALLEST), *overrides) == expected


@pytest.mark.parametrize(
    "overrides",
    [
        ["objective.kind=triplet", "objective.images_per_group=4", "data.batch_size=8"],
        ["objective.positive=product", "data.limit_batch_to=label", "data.batch_size=3"],
    ],
)
def test_settings_that_just_go_together(write: Write, overrides: list[str]):
    assert load_run_config(write(SMALLEST), overrides).data.batch_size in (3, 8)


def test_splits_leave_something_to_train_on():
    with pytest.raises(ConfigError) as caught:
        load_prepare_config(None, ["split.val=0.5", "split.test=0.5"])
    assert str(caught.value) == "--set: split: val + test = 1 leaves nothing to train on; keep it below 1"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "expected keys and values at the top, found nothing"),
        ("# only a comment\n", "expected keys and values at the top, found nothing"),
        ("- a\n- b\n", "expected keys and values at the top, found list"),
        ("hello", "expected keys and values at the top, found str"),
        (b"\x89PNG\r\n\x1a\n\x00", "cannot be read as text: 'utf-8' codec can't decode byte 0x89 in position 0: "),
        (b"a\x00b: 1", "not YAML: unacceptable character #x0000: special characters are not allowed"),
        ("a: [1, 2", "not YAML: while parsing a flow sequence"),
        ("a: !!python/object/apply:os.getcwd []", "not YAML: could not determine a constructor for the tag"),
        ("seed: 1\nseed: 2\n", "not YAML: key 'seed' occurs twice in "),
        ("encoder:\n  kind: pixels\n  'kind': timm\n", "not YAML: key 'kind' occurs twice in "),
        ("? [a, b]\n: 1\n", "not YAML: while constructing a mapping"),
        ("[" * 1000, "not YAML: maximum recursion depth exceeded"),
        ("!!binary aGVsbG8=: 1\n", "holds more than text, numbers, lists and sections: a key that is a bytes"),
        ("a: &loop [*loop]\n", "an anchor that holds itself"),
    ],
)
def test_file_that_holds_no_configuration(write: Write, content: str | bytes, expected: str):
    found = complaint(write(content))
    assert found.startswith(expected)
    assert "\n" not in found


def test_folder_is_no_configuration(tmp_path: Path):
    assert complaint(tmp_path) == "is a folder; expected a YAML file"


def test_missing_file_is_named_with_the_nearest_there_is(write: Write, tmp_path: Path):
    there = write(SMALLEST)
    assert complaint(tmp_path / "shpo.yaml") == f"no such configuration file; did you mean '{there}'?"


def test_missing_file_of_a_missing_folder(tmp_path: Path):
    assert complaint(tmp_path / "nowhere" / "a.yaml") == "no such configuration file"


@pytest.mark.parametrize(("name", "expected"), [("trian", "; did you mean 'train'?"), ("xyz", "")])
def test_nearest_name(name: str, expected: str):
    assert nearest(name, ["train", "val", "test"]) == expected


def test_near_duplicates_cannot_be_whitened():
    with pytest.raises(ConfigError) as caught:
        load_prepare_config(None, ["near_duplicates.encoder={kind: resnet, whitening: {}}"])
    assert str(caught.value) == (
        "--set: near_duplicates.encoder: whitening: near duplicates are found before there are training images; set it "
        "to null"
    )
