"""Which of an image's texts a step sees."""

import numpy as np
import torch

from simtrain.data.texts import CatalogTexts

IDS = torch.tensor([[0, 1, 2], [3, -1, -1], [-1, -1, -1], [-1, 4, 5]])


def texts_of(ids: torch.Tensor) -> CatalogTexts:
    return CatalogTexts(texts=[f"text {place}" for place in range(6)], ids=ids, criteria=ids)


def test_an_image_has_one_of_its_texts() -> None:
    rows = torch.tensor([0, 1, 2, 3, 0])
    for step in range(50):
        drawn = texts_of(IDS).draw(rows, seed=0, step=step)
        assert drawn[1] == 3
        assert drawn[2] == -1
        assert all(int(drawn[place]) in IDS[int(rows[place])] for place in (0, 3, 4))
        assert drawn[3] >= 0


def test_every_text_has_its_turn() -> None:
    drawn = [texts_of(IDS).draw(torch.zeros(100, dtype=torch.int64), seed=0, step=step) for step in range(30)]
    counts = np.bincount(torch.cat(drawn).numpy(), minlength=3)
    assert counts.sum() == 3000
    np.testing.assert_allclose(counts, 1000, atol=4 * np.sqrt(3000 * 2 / 9))


def test_the_draw_is_a_function_of_seed_and_step() -> None:
    rows = torch.arange(4).repeat(10)
    texts = texts_of(IDS)
    first = texts.draw(rows, seed=1, step=7)
    assert torch.equal(first, texts.draw(rows, seed=1, step=7))
    assert not torch.equal(first, texts.draw(rows, seed=1, step=8))
    assert not torch.equal(first, texts.draw(rows, seed=2, step=7))


def test_a_single_template_needs_no_lots() -> None:
    assert texts_of(IDS[:, :1]).draw(torch.tensor([3, 1, 0]), seed=0, step=0).tolist() == [-1, 3, 0]
