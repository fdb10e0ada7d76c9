"""The batch that a loss receives."""

import torch

from simtrain.modules.global_batch import GlobalBatch


def test_rows_stand_view_by_view_as_embeddings_do() -> None:
    rows = torch.tensor([[10, 20], [11, 21], [12, 22]])
    batch = GlobalBatch(embeddings=torch.zeros(6, 2), labels=torch.tensor([0, 1, -1]), rows=rows)
    assert batch.flat_rows.tolist() == [10, 11, 12, 20, 21, 22]
    assert all(rows[i % 3, i // 3] == row for i, row in enumerate(batch.flat_rows.tolist()))
