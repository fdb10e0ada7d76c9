"""What a loss of the user's own is called with."""

import torch
from tiny_training import TinyEncoder, training_settings
from torch import Tensor, nn

from simtrain.modules.global_batch import GlobalBatch
from simtrain.modules.own_objective import OwnObjectiveModule, OwnObjectiveSettings


class Recording(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.calls: list[tuple[Tensor, Tensor]] = []

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        self.calls.append((embeddings, labels))
        return self.weight * embeddings.sum()


def module(loss: nn.Module, *, labelled: bool) -> OwnObjectiveModule:
    return OwnObjectiveModule(
        objective=OwnObjectiveSettings(own_loss=loss, labelled=labelled),
        encoder=TinyEncoder(),
        head=None,
        settings=training_settings(),
        validation=None,
    )


BATCH = GlobalBatch(
    embeddings=torch.arange(12, dtype=torch.bfloat16).reshape(6, 2),
    labels=torch.tensor([7, 7, -1]),
    rows=torch.tensor([[0, 0], [1, 1], [2, 2]]),
)


def test_it_sees_every_view_in_float32_with_the_labels_of_the_batch():
    loss = Recording()
    value = module(loss, labelled=True).loss(BATCH)
    embeddings, labels = loss.calls[0]
    assert embeddings.dtype == torch.float32
    assert labels.tolist() == [7, 7, -1, 7, 7, -1]
    assert float(value.total.detach()) == 2.0 * sum(range(12))


def test_without_labels_the_views_of_an_image_are_alike():
    loss = Recording()
    made = module(loss, labelled=False)
    made.loss(BATCH)
    assert loss.calls[0][1].tolist() == [0, 1, 2, 0, 1, 2]
    assert made.positives(BATCH).tolist() == [0, 1, 2, 0, 1, 2]


def test_its_weights_are_new_ones_that_learn_and_are_checkpointed():
    loss = Recording()
    made = module(loss, labelled=True)
    assert any(parameter is loss.weight for parameter in made.new_parameters())
    assert "own_loss.weight" in made.state_dict()
