"""Keys order by similarity, then by id, and hold the similarity."""

import torch

from simtrain.evaluation.ordering_keys import REMOVED_KEY, ordering_keys, similarities_of


def test_keys_order_as_pairs_do_and_give_the_similarity_back() -> None:
    generator = torch.Generator().manual_seed(0)
    similarities = torch.randn(500, generator=generator).round(decimals=1)  # many are equal
    ties = torch.randperm(500, generator=generator)
    keys = ordering_keys(similarities, ties)
    pairs = list(zip(similarities.tolist(), ties.tolist(), strict=True))
    assert torch.argsort(keys).tolist() == sorted(range(500), key=pairs.__getitem__)
    assert torch.equal(similarities_of(keys), similarities)
    assert int(keys.min()) > REMOVED_KEY


def test_zeros_of_either_sign_are_equal() -> None:
    plus, minus = ordering_keys(torch.tensor([0.0, -0.0]), torch.tensor([7, 7])).tolist()
    assert plus == minus
