"""From configuration to batches, groups and objectives, and what is said where they are not possible."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_configs import ALIGNED, CAPTIONS, FOLDER, NAMED, PAIRS, SIMCLR, TRIPLET, config_of, texts_config
from tiny_training import SIZE, TinyEncoder, catalog_of, draw_images

from simtrain.builders import data as builder
from simtrain.builders.data import _check_shares, build_data, build_transform
from simtrain.builders.texts import build_texts
from simtrain.builders.validation import build_validation, split_task
from simtrain.catalog.store.reader import source_images
from simtrain.catalog.table import Catalog
from simtrain.config import AugmentationConfig, RunConfig, TransformConfig
from simtrain.data.batch import Batch
from simtrain.data.samplers import Share
from simtrain.errors import CatalogError, ConfigError


def products(*sizes: int, split: str = "train") -> dict[str, list[str]]:
    """Columns of a catalogue with products a, b, c … of these sizes."""
    names = [chr(ord("a") + number) for number, size in enumerate(sizes) for _ in range(size)]
    return {"product": names, "split": [split] * len(names)}


def build(config: RunConfig, catalog: Catalog) -> tuple[list[Batch], int]:
    loaders, groups = build_data(
        config,
        catalog,
        images=source_images(catalog),
        encoder=TinyEncoder(),
        validation=None,
        texts=build_texts(config, catalog),
    )
    return list(loaders.train_dataloader()), groups


def drawn(folder: Path, **columns: Sequence[Any]) -> Catalog:
    draw_images(folder, count=len(next(iter(columns.values()))))
    return catalog_of(folder, **columns)


@pytest.mark.parametrize(
    ("config", "columns", "message"),
    [
        (
            config_of(SIMCLR, batch_size=8),
            products(2, 3),
            "shop: 5 training images; set data.batch_size=5 or less",
        ),
        (config_of(SIMCLR), products(1), "shop: 1 training images; simclr needs 2 or more"),
        (config_of(SIMCLR), products(3, 3, split="val"), "shop: 0 training images; simclr needs 2 or more"),
        (
            config_of(TRIPLET),
            {"label": ["cup", "cup", "lamp", "lamp"]},
            "shop: 'product' is empty in split 'train', and triplet needs it; set objective.positive=label",
        ),
        (
            config_of(NAMED),
            {"label": [None] * 4},
            "shop: 'product' is empty in split 'train', and metric_learning needs it",
        ),
        (
            config_of(PAIRS),
            products(2, 2, split="test"),
            "shop: 'product' is empty in split 'train', and simclr needs it; set objective.positive=augmentation",
        ),
        (
            config_of({**TRIPLET, "positive": "label", "single_image_groups": "error"}),
            {"label": ["mug", "cup", "cup", "lamp", "lamp"]},
            "shop: class 'mug' has 1 image; triplet needs 2: add images, or set objective.single_image_groups=drop",
        ),
        (
            config_of({**PAIRS, "single_image_groups": "error"}),
            products(2, 1, 2, 1, 1),
            "shop: product 'b' has 1 image (and 2 more like it); simclr needs 2: add images, or set "
            "objective.single_image_groups=drop",
        ),
        (
            config_of({**TRIPLET, "single_image_groups": "error"}),
            {"product": ["a", "a", "b", "b"], "split": ["train", "train", "train", "val"]},
            "shop: product 'b' has 1 image in split 'train'; triplet needs 2: add images, or set "
            "objective.single_image_groups=drop",
        ),
        (
            config_of({**TRIPLET, "positive": "shape"}),
            products(2, 2),
            "shop/catalog.parquet: no column 'shape'; it has id, path, split, product, label, caption, query, gallery, "
            "duplicate_group",
        ),
        (
            config_of({**TRIPLET, "images_per_group": 3}, batch_size=12),
            products(3, 4, 5),
            "shop: 3 training groups of 'product'; a batch of 12 needs 4: set data.batch_size=9 or less, or a larger "
            "objective.images_per_group",
        ),
        (
            config_of(PAIRS, batch_size=4),
            products(2, 2, 2),
            "shop: 3 training groups of 'product'; a batch of 4 needs 4: set data.batch_size=3 or less",
        ),
        (
            config_of(TRIPLET),
            products(1, 1, 1),
            "shop: 0 training groups of 'product' with 2 images or more; triplet needs 2 groups; "
            "a configuration that fits the catalogue: simtrain init shop",
        ),
        (
            config_of(PAIRS),
            products(5),
            "shop: 1 training groups of 'product' with 2 images or more; simclr needs 2 groups; "
            "a configuration that fits the catalogue: simtrain init shop",
        ),
        (
            config_of(TRIPLET, data={"limit_batch_to": "shape"}),
            products(2, 2),
            "shop/catalog.parquet: no column 'shape'; it has id, path, split, product, label, caption, query, gallery, "
            "duplicate_group",
        ),
    ],
)
def test_a_catalogue_that_cannot_fill_a_batch_is_told(
    config: RunConfig, columns: dict[str, list[Any]], message: str
) -> None:
    with pytest.raises(CatalogError, match=f"^{re.escape(message)}$"):
        build(config, catalog_of(FOLDER, **columns))


def test_augmentations_pair_two_views_of_one_image(tmp_path: Path) -> None:
    batches, groups = build(config_of(SIMCLR), drawn(tmp_path, split=["train"] * 9 + ["val"]))
    assert groups == 0
    assert [batch.views.shape for batch in batches] == [(4, 2, SIZE, SIZE, 3)] * 2
    for batch in batches:
        assert torch.equal(batch.rows[:, 0], batch.rows[:, 1])
        assert batch.labels.tolist() == [-1] * 4


def test_products_pair_two_images(tmp_path: Path) -> None:
    catalog = drawn(tmp_path, **products(3, 2, 3))
    batches, groups = build(config_of(PAIRS, batch_size=2), catalog)
    assert (groups, len(batches)) == (3, 2)
    for batch in batches:
        first, second = (catalog.rows["product"].to_numpy()[rows] for rows in batch.rows.T.numpy())
        assert first.tolist() == second.tolist()
        assert not (batch.rows[:, 0] == batch.rows[:, 1]).any()


@pytest.mark.parametrize("objective", [TRIPLET, NAMED])
def test_groups_fill_a_batch_with_single_views(tmp_path: Path, objective: dict[str, Any]) -> None:
    catalog = drawn(tmp_path, **products(3, 2, 3))
    batches, groups = build(config_of(objective), catalog)
    assert (groups, len(batches)) == (3, 2)
    for batch in batches:
        assert batch.views.shape == (4, 1, SIZE, SIZE, 3)
        names = catalog.rows["product"].to_numpy()[batch.rows[:, 0].numpy()].tolist()
        assert [sorted(names).count(name) for name in names] == [2] * 4


def test_labels_number_the_groups_that_are_trained_on(tmp_path: Path) -> None:
    columns = {"product": [*list("aabccdd"), None], "split": ["train"] * 5 + ["val"] * 2 + ["train"]}
    config = config_of(TRIPLET)
    batches, groups = build(config, drawn(tmp_path, **columns))
    assert groups == 2
    found = {
        (row, label)
        for batch in batches
        for row, label in zip(batch.rows[:, 0].tolist(), batch.labels.tolist(), strict=True)
    }
    assert found == {(0, 0), (1, 0), (3, 1), (4, 1)}


def test_another_column_can_make_the_groups(tmp_path: Path) -> None:
    catalog = drawn(tmp_path, shape=["round", "flat"] * 4)
    batches, groups = build(config_of({**TRIPLET, "positive": "shape"}), catalog)
    assert groups == 2
    for batch in batches:
        assert {tuple(pair) for pair in zip(batch.labels.tolist(), (batch.rows[:, 0] % 2).tolist(), strict=True)} == {
            (1, 0),
            (0, 1),
        }


def test_a_batch_can_be_limited_to_a_category(tmp_path: Path) -> None:
    catalog = drawn(tmp_path, **products(*[2] * 8), category=["cup"] * 8 + ["lamp"] * 8)
    batches, _ = build(config_of(TRIPLET, data={"limit_batch_to": "category"}), catalog)
    assert [len(set((batch.rows[:, 0] // 8).tolist())) for batch in batches] == [1] * 4


def test_without_a_limit_categories_mix(tmp_path: Path) -> None:
    catalog = drawn(tmp_path, **products(*[2] * 8), category=["cup"] * 8 + ["lamp"] * 8)
    batches, _ = build(config_of(TRIPLET, seed=1), catalog)
    assert max(len(set((batch.rows[:, 0] // 8).tolist())) for batch in batches) == 2


def test_the_seed_decides_the_batches(tmp_path: Path) -> None:
    catalog = drawn(tmp_path, **products(*[2] * 8))
    first, again, other = (build(config_of(TRIPLET, seed=seed), catalog)[0] for seed in (1, 1, 2))
    assert all(torch.equal(a.views, b.views) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a.views, b.views) for a, b in zip(first, other, strict=True))


def test_validation_images_are_those_of_the_task(tmp_path: Path) -> None:
    catalog = drawn(tmp_path, product=list("aabbccdd"), split=["train"] * 4 + ["val"] * 4)
    config = config_of(TRIPLET)
    data, _ = build_data(
        config,
        catalog,
        images=source_images(catalog),
        encoder=TinyEncoder(),
        validation=build_validation(config, catalog),
        texts=None,
    )
    (batch,) = data.val_dataloader()
    assert batch.positions.tolist() == [0, 1, 2, 3]


def test_without_a_task_there_are_no_validation_images(tmp_path: Path) -> None:
    catalog = drawn(tmp_path, split=["train"] * 4)
    data, _ = build_data(
        config_of(SIMCLR),
        catalog,
        images=source_images(catalog),
        encoder=TinyEncoder(),
        validation=None,
        texts=None,
    )
    assert data.val_dataloader() == []


def test_a_catalogue_without_products_and_labels_is_not_validated() -> None:
    assert build_validation(config_of(SIMCLR), catalog_of(FOLDER, split=["train", "val"])) is None


def test_a_catalogue_with_labels_only_is_told_to_validate_on_them() -> None:
    catalog = catalog_of(FOLDER, split=["train", "val", "val"], label=["cup"] * 3)
    message = "shop: relevance column 'product' is empty; filled: label (set relevance=label)"
    with pytest.raises(CatalogError, match=f"^{re.escape(message)}$"):
        build_validation(config_of(SIMCLR), catalog)


def test_validation_goes_by_the_configured_columns_and_gallery() -> None:
    catalog = catalog_of(FOLDER, split=["train", "val", "val"], label=["cup", "cup", "lamp"])
    config = config_of(SIMCLR, relevance=["label"], evaluation={"gallery_splits": ["train"]})
    task = build_validation(config, catalog)
    assert task is not None
    assert (task.rows[task.queries].tolist(), task.rows[task.gallery].tolist()) == ([1, 2], [0])


def test_validation_with_distractors_is_as_large_as_test() -> None:
    products = [f"p{row // 2}" for row in range(30)]
    shop = catalog_of(Path("shop"), split=["train"] * 16 + ["val"] * 4 + ["test"] * 10, product=products)
    config = config_of(SIMCLR, evaluation={"distractors": "train"})
    task = build_validation(config, shop)
    assert task is not None
    added = task.rows[task.distractors].tolist()
    assert (len(task.gallery), len(added)) == (10, 6)
    assert set(added) <= set(range(16))
    assert task.rows[task.queries].tolist() == [16, 17, 18, 19]
    assert len(split_task(config, shop, split="test").distractors) == 0
    other = build_validation(config.model_copy(update={"seed": 1}), shop)
    assert other is not None
    assert other.rows.tolist() != task.rows.tolist()


def test_ones_own_transforms_replace_the_preset() -> None:
    image = np.random.default_rng(0).integers(0, 256, size=(SIZE, SIZE, 3), dtype=np.uint8)
    flip = TransformConfig(name="HorizontalFlip", parameters={"p": 1.0})
    transform = build_transform(AugmentationConfig(preset="simclr", transforms=[flip]), image_size=SIZE)
    np.testing.assert_array_equal(transform(image, seed=0), image[:, ::-1])


def test_the_preset_is_the_configured_one() -> None:
    red = np.full((SIZE, SIZE, 3), (200, 40, 40), dtype=np.uint8)
    kept = build_transform(AugmentationConfig(preset="color_sensitive"), image_size=SIZE)
    changed = build_transform(AugmentationConfig(preset="color_invariant"), image_size=SIZE)
    assert all((view := kept(red, seed=seed))[..., 0].max() > view[..., 1].max() for seed in range(20))
    assert any((view := changed(red, seed=seed))[..., 0].max() < view[..., 1].max() for seed in range(20))


def test_parts_of_a_preset_are_changed_one_by_one() -> None:
    image = np.random.default_rng(0).integers(0, 256, size=(SIZE, SIZE, 3), dtype=np.uint8)
    still = AugmentationConfig(preset="affine", flip=False, rotation=0, zoom=0, shift=0, color="none")
    np.testing.assert_array_equal(build_transform(still, image_size=SIZE)(image, seed=0), image)
    for part in ({"flip": True}, {"rotation": 20}, {"zoom": 0.5}, {"shift": 0.5}, {"color": "mild"}, {"cutout": 1.0}):
        transform = build_transform(still.model_copy(update=part), image_size=SIZE)
        assert any(not np.array_equal(transform(image, seed=seed), image) for seed in range(20)), part
    cropped = build_transform(still.model_copy(update={"crop": 0.3}), image_size=SIZE)
    assert any(not np.array_equal(cropped(image, seed=seed), image) for seed in range(20))


@pytest.mark.parametrize(
    ("device", "on_gpu", "augmentation", "made_by"),
    [
        ("auto", False, {}, "loader"),
        ("auto", True, {}, "trainer"),
        ("auto", True, {"engine": "albumentations"}, "loader"),
        ("loader", True, {}, "loader"),
        ("trainer", False, {}, "trainer"),
    ],
)
def test_views_are_made_where_the_configuration_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    on_gpu: bool,
    augmentation: dict[str, str],
    made_by: str,
) -> None:
    monkeypatch.setattr(builder, "run_device", lambda _config: torch.device("cuda" if on_gpu else "cpu"))
    config = config_of(SIMCLR, augmentation={"device": device, **augmentation})
    (batch, _), _ = build(config, drawn(tmp_path, split=["train"] * 9 + ["val"]))
    assert (batch.plan is not None) == (made_by == "trainer")
    assert batch.made().views.shape == (4, 2, SIZE, SIZE, 3)


def test_a_frozen_network_has_its_views_from_the_loading_processes(tmp_path: Path) -> None:
    frozen = {"freeze_encoder": True, "frozen_views": 2}
    encoder = {"kind": "resnet", "embedding_size": 8}
    catalog = drawn(tmp_path, split=["train"] * 9 + ["val"])
    told = "augmentation.device: trainer does not go with trainer.freeze_encoder; allowed: auto, loader"
    with pytest.raises(ConfigError, match=f"^{re.escape(told)}$"):
        build(config_of(SIMCLR, augmentation={"device": "trainer"}, trainer=frozen, encoder=encoder), catalog)


def test_a_border_that_never_comes_into_view_is_refused() -> None:
    told = "augmentation.border: 'white' has no effect, because views are not moved; set augmentation.border=null"
    with pytest.raises(ConfigError, match=f"^{re.escape(told)}"):
        build_transform(AugmentationConfig(preset="simclr", border="white"), image_size=SIZE)
    build_transform(AugmentationConfig(preset="simclr", border="white", shift=0.1), image_size=SIZE)


def test_images_without_a_text_are_in_no_batch(tmp_path: Path) -> None:
    catalog = drawn(tmp_path, caption=CAPTIONS, split=["train"] * 5 + ["test"])
    config = texts_config()
    loaders, groups = build_data(
        config_of({"kind": "image_text"}, encoder=ALIGNED, batch_size=3),
        catalog,
        images=source_images(catalog),
        encoder=TinyEncoder(),
        validation=None,
        texts=build_texts(config, catalog),
    )
    (batch,) = loaders.train_dataloader()
    assert sorted(batch.rows.flatten().tolist()) == [0, 1, 3]
    assert groups == 0


def test_views_and_validation_have_the_encoder_s_two_sizes(tmp_path: Path):
    catalog = drawn(tmp_path, product=["a", "a", "b", "b"] * 3, split=["train"] * 8 + ["val"] * 4)
    config = config_of({"kind": "triplet"}, batch_size=4)
    encoder = TinyEncoder()
    encoder.preprocessing = replace(encoder.preprocessing, image_size=40)
    data, _ = build_data(
        config,
        catalog,
        images=source_images(catalog),
        encoder=encoder,
        validation=build_validation(config, catalog),
        texts=None,
    )
    (batch, *_), (images, *_) = list(data.train_dataloader()), list(data.val_dataloader())
    assert batch.views.shape[2:] == (SIZE, SIZE, 3)
    assert images.pixels.shape[1:] == (40, 40, 3)


@pytest.mark.parametrize(
    ("batch_size", "processes", "group", "told"),
    [(16, 3, 2, "take 12 or 18"), (18, 4, 1, "take 16 or 20"), (10, 4, 3, "take 12"), (3, 2, 1, "take 2 or 4")],
)
def test_sizes_that_are_advised_hold_whole_groups(batch_size: int, processes: int, group: int, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _check_shares(batch_size, Share(index=0, of=processes), group=group)
    assert str(caught.value).endswith(told)
