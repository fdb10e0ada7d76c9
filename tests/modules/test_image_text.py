"""Images and texts within a training step."""

from pathlib import Path

import pytest
import torch
from tiny_held_modules import expected_loss, gradients, image_text_module, words_of
from tiny_training import TinyAlignedEncoder, noise_batch

from simtrain.data.batch import Batch


@pytest.mark.parametrize("trains_text", [True, False])
def test_images_and_texts_find_each_other(trains_text: bool) -> None:
    encoder, batch = TinyAlignedEncoder(trains_text=trains_text), noise_batch(samples=8, views=1)
    module = image_text_module(encoder, words_of(encoder))
    found = module.value(module.gather_batch(batch)).total
    expected = expected_loss(encoder, batch)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(encoder, found), gradients(encoder, expected), rtol=1e-4, atol=1e-6)


def test_a_batch_without_texts_teaches_nothing() -> None:
    encoder, batch = TinyAlignedEncoder(), noise_batch(samples=2, views=1)
    batch = Batch(views=batch.views, labels=batch.labels, rows=torch.tensor([[6], [7]]))
    module = image_text_module(encoder, words_of(encoder))
    loss = module.value(module.gather_batch(batch)).total
    assert loss.item() == 0
    assert not any(gradient.any() for gradient in gradients(module, loss))


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
