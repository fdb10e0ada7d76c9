"""Batches on their way to a device."""

import torch

from simtrain.data.batch import Batch, ImageBatch


def test_a_batch_goes_to_a_device_whole() -> None:
    batch = Batch(
        views=torch.zeros(2, 1, 4, 4, 3, dtype=torch.uint8), labels=torch.tensor([3, -1]), rows=torch.tensor([[5], [6]])
    )
    gone = batch.to(torch.device("meta"))
    assert {gone.views.device.type, gone.labels.device.type, gone.rows.device.type} == {"meta"}
    assert (gone.views.shape, gone.views.dtype) == (batch.views.shape, torch.uint8)
    assert batch.views.device.type == "cpu"


def test_places_of_images_stay_where_they_are() -> None:
    batch = ImageBatch(pixels=torch.zeros(2, 4, 4, 3, dtype=torch.uint8), positions=torch.tensor([7, 8]))
    gone = batch.to(torch.device("meta"))
    assert gone.pixels.device.type == "meta"
    assert gone.positions.tolist() == [7, 8]
