"""A run's encoder between its start and its end: weights, statistics, and who takes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import again, choose, sweep, train
from tiny_clip import make_tiny_clip
from torch.nn.modules.batchnorm import _BatchNorm

from simtrain.builders.saved_encoder import load_initial_encoder
from simtrain.catalog.store.reader import open_images
from simtrain.catalog.table import Catalog
from simtrain.commands.evaluate import evaluate
from simtrain.commands.export import export
from simtrain.console import SILENT
from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import PixelsEncoder
from simtrain.errors import CheckpointError
from simtrain.evaluation.protocol import retrieval_task
from simtrain.evaluation.relevance import same
from simtrain.runs.evaluation import embed_rows
from simtrain.runs.run import Run
from simtrain.runs.tuned_encoder import of_one_checkpoint, tuned_encoder
from simtrain.serving.manifest import read_manifest
from simtrain.training.saved_weights import read_module_state

ENDS = {"interpolation.json", "interpolation.png"}


def test_weights_lie_between_start_and_end(clip_run: Run):
    start = load_initial_encoder(clip_run.config.encoder, clip_run.folder).state_dict()
    state = read_module_state(clip_run.folder / "best.ckpt")
    end = {name.removeprefix("encoder."): value for name, value in state.items() if name.startswith("encoder.")}
    found = tuned_encoder(clip_run.config, clip_run.folder, alpha=0.3).state_dict()
    moved = [name for name in end if not torch.equal(start[name], end[name])]
    assert len(moved) > 10
    for name in end:
        if name in moved:
            expected = 0.7 * start[name].double() + 0.3 * end[name].double()
            torch.testing.assert_close(found[name].double(), expected, rtol=1e-5, atol=1e-7)
        else:
            assert torch.equal(found[name], end[name])


@pytest.mark.parametrize("which", ["clip_run", "norms_run"])
def test_the_ends_are_the_start_and_the_tuned_encoder(which: str, request: pytest.FixtureRequest):
    run = request.getfixturevalue(which)
    start = load_initial_encoder(run.config.encoder, run.folder).state_dict()
    state = read_module_state(run.folder / "best.ckpt")
    end = {name.removeprefix("encoder."): value for name, value in state.items() if name.startswith("encoder.")}
    for alpha, expected in ((0.0, start), (1.0, end)):
        found = tuned_encoder(run.config, run.folder, alpha=alpha).state_dict()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_new_run_begins_with_what_is_chosen(clip_run: Run, catalog: Catalog, tmp_path: Path):
    sweep(clip_run)
    choose(clip_run, 0.5)
    begun = train(
        catalog, tmp_path, run="next", init_from=str(clip_run.folder), encoder=clip_run.config.encoder.model_dump(),
        trainer={"epochs": 1, "max_steps": 1, "accelerator": "cpu"},
    )  # fmt: skip
    found = load_initial_encoder(begun.config.encoder, begun.folder).state_dict()
    expected = tuned_encoder(clip_run.config, clip_run.folder, alpha=0.5).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_bundle_says_its_alpha_and_how_well_its_texts_do(clip_run: Run, tmp_path: Path):
    sweep(clip_run)
    choose(clip_run, 0.5)
    export(clip_run, out=tmp_path / "bundle", alpha=None, console=SILENT)
    manifest = read_manifest(tmp_path / "bundle")
    assert manifest["run"]["alpha"] == 0.5
    judged = evaluate(clip_run.config, run=clip_run, split="val", alpha=0.5, console=SILENT).to_dict()
    assert manifest["metrics"]["tuned"]["metrics"] == judged["metrics"]
    assert manifest["metrics"]["tuned"]["text"] == judged["text"]


def test_low_rank_factors_are_merged_before_the_mix(catalog: Catalog, tmp_path: Path):
    model = make_tiny_clip(tmp_path / "model")
    run = train(catalog, tmp_path, encoder={"kind": "clip", "model": str(model), "lora": {"rank": 2}})
    start = load_initial_encoder(run.config.encoder, run.folder).state_dict()
    end = tuned_encoder(run.config, run.folder, alpha=1.0).state_dict()
    found = tuned_encoder(run.config, run.folder, alpha=0.5).state_dict()
    assert not any("lora" in name for name in found)
    assert sum(not torch.equal(start[name], end[name]) for name in end) > 0
    for name in end:
        torch.testing.assert_close(found[name], (start[name] + end[name]) / 2)
    assert sweep(run, steps=2).mixes[1].alpha == 1


def expected_statistics(run: Run, catalog: Catalog, *, alpha: float) -> dict[str, torch.Tensor]:
    """By hooks and plain means: of what goes into each BatchNorm in training mode, over batches of equal size."""
    encoder = tuned_encoder(run.config, run.folder, alpha=1.0)
    start, end = load_initial_encoder(run.config.encoder, run.folder).state_dict(), encoder.state_dict()
    mixed = {
        name: value if not value.is_floating_point() else (1 - alpha) * start[name] + alpha * value
        for name, value in end.items()
    }
    encoder.load_state_dict(mixed)
    seen: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}

    def watch(name: str) -> Callable[..., None]:
        def note(_part: Any, inputs: tuple[torch.Tensor, ...]) -> None:
            values = inputs[0].transpose(0, 1).flatten(1)
            seen.setdefault(name, []).append((values.mean(dim=1), values.var(dim=1, unbiased=True)))

        return note

    for name, part in encoder.named_modules():
        if isinstance(part, _BatchNorm):
            part.register_forward_pre_hook(watch(name))
            part.train()
    rows = np.random.default_rng(run.config.seed).permutation(catalog.rows_of(["train"]))
    assert len(rows) == 84  # in batches of 20 at most: five of equal size, which leave out four images
    reader, preprocessing = open_images(catalog, smallest=32).reader, encoder.preprocessing
    for batch in rows[:80].reshape(5, 16):
        pixels = np.stack([preprocessing.pixels(reader.read(row, at_least=None)) for row in batch])
        with torch.no_grad():
            encoder(preprocessing.normalise(torch.from_numpy(pixels)))
    return {
        f"{name}.{statistic}": torch.stack([found[place] for found in values]).mean(dim=0)
        for name, values in seen.items()
        for place, statistic in enumerate(("running_mean", "running_var"))
    }


def test_statistics_of_a_mix_are_its_own(norms_run: Run, catalog: Catalog):
    run = again(norms_run, "evaluation.batch_size=20")
    report = sweep(run)
    expected = expected_statistics(norms_run, catalog, alpha=0.5)
    found = tuned_encoder(norms_run.config, norms_run.folder, alpha=0.5).state_dict()
    assert (report.norms, report.sample) == (len(expected) // 2, 80)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)


def test_a_mix_with_its_statistics_is_reproduced_to_the_bit(norms_run: Run, catalog: Catalog):
    report = sweep(norms_run)
    choose(norms_run, 0.5)
    encoder = tuned_encoder(norms_run.config, norms_run.folder, alpha=None)
    task = retrieval_task(catalog, split="val", gallery_splits=None, relevance=same(["product"]))
    images = open_images(catalog, smallest=32).reader
    embeddings = embed_rows(encoder, images, task.rows.tolist(), config=norms_run.config, console=SILENT)
    found = {name: figure.mean for name, figure in report.mixes[1].image.items() if name != "balanced"}
    assert found == task.score(embeddings).means()


def test_statistics_that_did_not_move_are_not_estimated(catalog: Catalog, tmp_path: Path):
    encoder = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}
    run = train(catalog, tmp_path, encoder=encoder)
    report = sweep(run)
    assert (report.norms, report.sample) == (0, 0)
    assert {path.name for path in run.folder.glob("interpolation*")} == ENDS
    start = load_initial_encoder(run.config.encoder, run.folder).state_dict()
    found = tuned_encoder(run.config, run.folder, alpha=0.25).state_dict()
    kept = [name for name in start if "running" in name]
    assert len(kept) > 0
    assert all(torch.equal(found[name], start[name]) for name in kept)


def test_a_start_of_another_make_is_told(first_clip_run: Run, norms_run: Run, monkeypatch: pytest.MonkeyPatch):
    other = load_initial_encoder(first_clip_run.config.encoder, first_clip_run.folder)
    monkeypatch.setattr("simtrain.runs.tuned_encoder.load_initial_encoder", lambda config, folder: other)
    with pytest.raises(CheckpointError) as caught:
        tuned_encoder(norms_run.config, norms_run.folder, alpha=0.5)
    expected = f"{norms_run.folder}: initial and fine-tuned encoder differ: only the start has 'network."
    assert str(caught.value).startswith(expected)


def test_an_encoder_is_of_one_checkpoint_where_training_replaces_it_meanwhile(tmp_path: Path):
    path, encoders = tmp_path / "best.ckpt", [PixelsEncoder(image_size=8, resize="pad") for _ in range(3)]
    path.write_text("first")

    def load() -> Encoder:
        (tmp_path / "next").write_text("next")
        encoder = encoders.pop()
        if len(encoders) == 1:
            return encoder
        (tmp_path / "next").replace(path)
        if not encoders:
            raise AssertionError("loaded once too often")
        raise CheckpointError("alpha belongs to another checkpoint")

    last = encoders[1]
    assert of_one_checkpoint(tmp_path, load) is last


def test_a_checkpoint_that_is_replaced_again_and_again_is_told(tmp_path: Path):
    def load() -> Encoder:
        (tmp_path / "next").write_text("next")
        (tmp_path / "next").replace(tmp_path / "best.ckpt")
        return PixelsEncoder(image_size=8, resize="pad")

    with pytest.raises(CheckpointError) as caught:
        of_one_checkpoint(tmp_path, load)
    told = f"{tmp_path / 'best.ckpt'}: is replaced again and again; try again when its training has ended"
    assert str(caught.value) == told


def test_an_error_of_a_checkpoint_that_stays_is_its_own(tmp_path: Path):
    def load() -> Encoder:
        raise CheckpointError("broken")

    with pytest.raises(CheckpointError, match=r"^broken$"):
        of_one_checkpoint(tmp_path, load)
