"""The image-text loss and the keeper within a training step, against the same computed outright."""

# Shapes: B samples, V views, D = 12.

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny_training import TinyAlignedEncoder, TinyEncoder, noise_batch, simclr_settings, training_settings
from torch import Tensor

from simtrain.data.batch import Batch
from simtrain.data.texts import CatalogTexts
from simtrain.modules.global_batch import SideTerms
from simtrain.modules.heads import projection_head
from simtrain.modules.image_text import ImageTextModule
from simtrain.modules.image_text_pairs import Words, largest_scale
from simtrain.modules.simclr import SimCLRModule
from simtrain.modules.start_regulariser import StartKeeper

# Of eight images, the texts of the first six; two have the same one.
IDS = torch.tensor([[0], [1], [2], [2], [3], [5], [-1], [-1]])


def words_of(encoder: TinyAlignedEncoder, *, micro_batch_size: int | None = None, **changes: Any) -> Words:
    embedded = None if encoder.trains_text else encoder.embed_texts([f"text {place}" for place in range(6)])
    texts = CatalogTexts(texts=[f"text {place}" for place in range(6)], ids=IDS, criteria=IDS)
    usual: dict[str, Any] = {"texts": texts, "embedded": embedded, "loss": "softmax", "seed": 0}
    return Words(**{**usual, **changes}, micro_batch_size=micro_batch_size)


def image_text_module(encoder: TinyAlignedEncoder, words: Words, **settings: Any) -> ImageTextModule:
    module = ImageTextModule(
        words=words,
        encoder=encoder,
        settings=training_settings(freeze_batch_norm=True, **settings),
        validation=None,
        side=SideTerms(words=words),
    )
    return module.train()


def simclr_module(encoder: TinyEncoder, side: SideTerms, **settings: Any) -> SimCLRModule:
    torch.manual_seed(5)
    module = SimCLRModule(
        objective=simclr_settings(),
        encoder=encoder,
        head=projection_head(input_size=12, hidden_size=8, output_size=4),
        settings=training_settings(freeze_batch_norm=True, **settings),
        validation=None,
        side=side,
    )
    return module.train()


def joint(encoder: TinyEncoder, batch: Batch) -> Tensor:
    """(V·B, D) unit embeddings, view by view."""
    pixels = torch.cat(list(batch.views.unbind(dim=1)))
    return F.normalize(encoder(encoder.preprocessing.normalise(pixels)), dim=1)


def expected_loss(encoder: TinyAlignedEncoder, batch: Batch) -> Tensor:
    """CLIP's loss with shared targets over the images that have a text."""
    rows = torch.cat(list(batch.rows.unbind(dim=1)))
    ids = IDS[rows, 0]
    told = ids >= 0
    logits = encoder.logit_scale.exp() * joint(encoder, batch)[told] @ F.normalize(encoder.words(ids[told]), dim=1).T
    targets = (ids[told, None] == ids[told]).float()
    return (
        F.cross_entropy(logits, targets / targets.sum(dim=1, keepdim=True))
        + F.cross_entropy(logits.T, targets.T / targets.T.sum(dim=1, keepdim=True))
    ) / 2


def gradients(module: torch.nn.Module, loss: Tensor) -> list[Tensor]:
    module.zero_grad()
    loss.backward()
    return [parameter.grad.clone() for parameter in module.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("trains_text", [True, False])
def test_images_and_texts_find_each_other(trains_text: bool) -> None:
    encoder, batch = TinyAlignedEncoder(trains_text=trains_text), noise_batch(samples=8, views=1)
    module = image_text_module(encoder, words_of(encoder))
    found = module.value(module.see(batch)).total
    expected = expected_loss(encoder, batch)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(encoder, found), gradients(encoder, expected), rtol=1e-4, atol=1e-6)


def test_texts_that_stay_are_not_embedded_again() -> None:
    encoder, batch = TinyAlignedEncoder(trains_text=False), noise_batch(samples=8, views=1)
    module = image_text_module(encoder, words_of(encoder))
    encoder.tokenized.clear()
    module.see(batch)
    assert encoder.tokenized == []


def test_each_different_text_of_a_batch_is_read_once() -> None:
    encoder, batch = TinyAlignedEncoder(), noise_batch(samples=8, views=2)
    image_text_module(encoder, words_of(encoder)).see(batch)
    assert encoder.tokenized == [["text 0", "text 1", "text 2", "text 3", "text 5"]]


def test_parts_of_a_batch_give_the_gradients_of_the_whole() -> None:
    encoder, batch = TinyAlignedEncoder(), noise_batch(samples=8, views=2)
    whole = image_text_module(encoder, words_of(encoder))
    parts = image_text_module(encoder, words_of(encoder, micro_batch_size=2), micro_batch_size=3)
    found = [gradients(module, module.value(module.see(batch)).total) for module in (whole, parts)]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


def test_a_batch_without_texts_teaches_nothing() -> None:
    encoder, batch = TinyAlignedEncoder(), noise_batch(samples=2, views=1)
    batch = Batch(views=batch.views, labels=batch.labels, rows=torch.tensor([[6], [7]]))
    module = image_text_module(encoder, words_of(encoder))
    loss = module.value(module.see(batch)).total
    assert loss.item() == 0
    assert not any(gradient.any() for gradient in gradients(module, loss))


def test_a_sigmoid_judges_each_pair() -> None:
    encoder, batch = TinyAlignedEncoder(), noise_batch(samples=6, views=1)
    encoder.logit_bias = torch.nn.Parameter(torch.tensor([-1.5]))
    module = image_text_module(encoder, words_of(encoder, loss="sigmoid"))
    ids = IDS[:6, 0]
    logits = encoder.logit_scale.exp() * joint(encoder, batch) @ F.normalize(encoder.words(ids), dim=1).T - 1.5
    targets = (ids[:, None] == ids).float()
    expected = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / 6
    torch.testing.assert_close(module.value(module.see(batch)).total, expected)


def test_texts_beside_images_are_added_with_their_weight() -> None:
    encoder, batch = TinyAlignedEncoder(), noise_batch(samples=8, views=2)
    alone = simclr_module(encoder, SideTerms())
    mixed = simclr_module(encoder, SideTerms(words=words_of(encoder), words_weight=0.25))
    value = mixed.value(mixed.see(batch))
    images, texts = alone.value(alone.see(batch)).total, expected_loss(encoder, batch)
    torch.testing.assert_close(value.total, images + 0.25 * texts)
    torch.testing.assert_close(value.parts["image_text"], texts)


def test_an_encoder_at_its_start_is_not_moved_by_what_holds_it_there() -> None:
    encoder, batch = TinyEncoder(), noise_batch(samples=4, views=2)
    keeper = StartKeeper(encoder, distillation=3.0, weight_distance=100.0)
    held, free = simclr_module(encoder, SideTerms(keeper=keeper)), simclr_module(encoder, SideTerms())
    found = [gradients(module, module.value(module.see(batch)).total) for module in (held, free)]
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("micro_batch_size", [None, 3])
def test_what_has_moved_is_held_by_images_and_by_weights(micro_batch_size: int | None) -> None:
    start, encoder, batch = TinyEncoder(seed=0), TinyEncoder(seed=1), noise_batch(samples=4, views=2)
    keeper = StartKeeper(start, distillation=3.0, weight_distance=100.0)
    module = simclr_module(encoder, SideTerms(keeper=keeper), micro_batch_size=micro_batch_size)
    value = module.value(module.see(batch))
    drift = (1 - (joint(encoder, batch) * joint(start.eval(), batch)).sum(dim=1)).mean()
    sides = [torch.cat([parameter.flatten() for parameter in side.parameters()]) for side in (encoder, start)]
    distance = (sides[0] - sides[1]).square().mean()
    torch.testing.assert_close(value.parts["distillation"], drift)
    torch.testing.assert_close(value.parts["weight_distance"], distance)
    images = value.parts["nt_xent"]
    torch.testing.assert_close(value.total, images + 3 * drift + 100 * distance)


def test_the_start_is_in_no_checkpoint_and_does_not_learn() -> None:
    encoder = TinyEncoder()
    held = simclr_module(encoder, SideTerms(keeper=StartKeeper(encoder, distillation=1.0, weight_distance=0.0)))
    assert held.state_dict().keys() == simclr_module(encoder, SideTerms()).state_dict().keys()
    assert len(list(held.parameters())) == len(list(simclr_module(encoder, SideTerms()).parameters()))


def test_weights_that_stay_are_at_no_distance() -> None:
    encoder = TinyEncoder()
    keeper = StartKeeper(TinyEncoder(seed=1), distillation=0.0, weight_distance=1.0)
    assert keeper.distance(encoder, frozen=[name for name, _ in encoder.named_parameters()]).item() == 0


def test_a_new_layer_is_not_held_to_its_random_start() -> None:
    start, encoder = TinyEncoder(seed=0, embedding_size=4), TinyEncoder(seed=0, embedding_size=4)
    keeper = StartKeeper(start, distillation=0.0, weight_distance=1.0)
    encoder.reduction.weight.data.add_(1.0)
    assert keeper.distance(encoder, frozen=[]).item() == 0
    encoder.network[0].weight.data.add_(1.0)
    encoder.requires_grad_(False)  # as in epochs of the head alone
    pretrained = sum(value.numel() for name, value in encoder.named_parameters() if not name.startswith("reduction"))
    expected = encoder.network[0].weight.numel() / pretrained
    assert keeper.distance(encoder, frozen=[]).item() == pytest.approx(expected)


@pytest.mark.parametrize(("start", "largest"), [(2.0, math.log(100)), (5.0, 5.0)])
def test_a_scale_is_held_below_100_or_its_start(start: float, largest: float) -> None:
    encoder = TinyAlignedEncoder()
    encoder.logit_scale.data.fill_(start)
    assert largest_scale(encoder) == pytest.approx(largest)


def test_a_scale_that_learns_stops_at_its_bound(tmp_path: Path) -> None:
    from tiny_training import bare_trainer

    encoder = TinyAlignedEncoder()
    encoder.logit_scale.requires_grad_(True)
    module = image_text_module(encoder, words_of(encoder), learning_rate=0.5, warmup_fraction=0.0)
    encoder.logit_scale.data.fill_(4.6)
    encoder.words.weight.data.copy_(torch.eye(6, 12))
    module._largest_scale = 4.6
    batches = [noise_batch(samples=8, views=1, seed=seed) for seed in range(3)]
    bare_trainer(tmp_path).fit(module, train_dataloaders=torch.utils.data.DataLoader(batches, batch_size=None))
    assert encoder.logit_scale.item() <= 4.6
