"""Losses as pure functions of embeddings; the one place that imports pytorch-metric-learning.

Each takes a batch of embeddings and gives a scalar with gradients:

    loss = simtrain.losses.nt_xent_loss(views, temperature=0.1)      # rows i and i + B are views of one image
    loss = simtrain.losses.triplet_margin_loss(embeddings, labels)
"""

from simtrain.losses.image_text import image_text_loss, sigmoid_loss
from simtrain.losses.nt_xent import nt_xent_loss
from simtrain.losses.relational_distillation import relational_distillation_loss
from simtrain.losses.supervised import supervised_contrastive_loss
from simtrain.losses.triplets import triplet_margin_loss

__all__ = [
    "image_text_loss",
    "nt_xent_loss",
    "relational_distillation_loss",
    "sigmoid_loss",
    "supervised_contrastive_loss",
    "triplet_margin_loss",
]
