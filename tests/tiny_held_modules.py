"""SimCLR modules beside texts and a start."""

from typing import Any

import torch
import torch.nn.functional as F
from tiny_training import TinyAlignedEncoder, TinyEncoder, simclr_settings, training_settings
from torch import Tensor

from simtrain.data.batch import Batch
from simtrain.data.texts import CatalogTexts
from simtrain.modules.global_batch import AuxiliaryLosses
from simtrain.modules.heads import projection_head
from simtrain.modules.image_text import ImageTextModule
from simtrain.modules.image_text_pairs import ImageTextPairs
from simtrain.modules.simclr import SimCLRModule

# Of eight images, the texts of the first six; two have the same one.
IDS = torch.tensor([[0], [1], [2], [2], [3], [5], [-1], [-1]])


def words_of(encoder: TinyAlignedEncoder, *, micro_batch_size: int | None = None, **changes: Any) -> ImageTextPairs:
    embedded = None if encoder.trains_text else encoder.embed_texts([f"text {place}" for place in range(6)])
    texts = CatalogTexts(texts=[f"text {place}" for place in range(6)], ids=IDS, criteria=IDS)
    usual: dict[str, Any] = {"texts": texts, "embedded": embedded, "loss": "softmax", "seed": 0}
    return ImageTextPairs(**{**usual, **changes}, micro_batch_size=micro_batch_size)


def image_text_module(encoder: TinyAlignedEncoder, words: ImageTextPairs, **settings: Any) -> ImageTextModule:
    module = ImageTextModule(
        image_text=words,
        encoder=encoder,
        settings=training_settings(freeze_batch_norm=True, **settings),
        validation=None,
        auxiliary=AuxiliaryLosses(image_text=words),
    )
    return module.train()


def simclr_module(encoder: TinyEncoder, auxiliary: AuxiliaryLosses, **settings: Any) -> SimCLRModule:
    torch.manual_seed(5)
    module = SimCLRModule(
        objective=simclr_settings(),
        encoder=encoder,
        head=projection_head(input_size=12, hidden_size=8, output_size=4),
        settings=training_settings(freeze_batch_norm=True, **settings),
        validation=None,
        auxiliary=auxiliary,
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
