"""Arithmetic of embedding: what autocast and the backends are told, and what comes back afterwards."""

import torch

from simtrain.encoders.arithmetic import FLOAT32, Arithmetic, Precision, computing_in, in_halves

CPU = torch.device("cpu")


def told(precision: Precision) -> tuple[bool, str, str]:
    with computing_in(precision, device=CPU):
        convolutions = torch.backends.cudnn.conv.fp32_precision
        return torch.is_autocast_enabled("cpu"), convolutions, torch.backends.cuda.matmul.fp32_precision


def test_halves_are_by_autocast_and_float32_is_exact() -> None:
    outside = torch.backends.cuda.matmul.fp32_precision
    assert told("32") == (False, "ieee", outside)
    assert told("bf16") == (True, "ieee", outside)
    assert told("tf32") == (False, "tf32", "tf32")
    assert [in_halves(each) for each in ("32", "tf32", "bf16", "16")] == [False, False, True, True]


def test_products_of_bf16_are_bf16_and_of_float32_are_not() -> None:
    ones = torch.ones(2, 2)
    with computing_in("bf16", device=CPU):
        assert (ones @ ones).dtype == torch.bfloat16
        with computing_in("32", device=CPU):
            assert (ones @ ones).dtype == torch.float32


def test_what_was_set_outside_comes_back() -> None:
    before = torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision
    told("tf32")
    assert (torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision) == before


def test_plain_values_and_back() -> None:
    bf16 = Arithmetic(precision="bf16", lowest_cosine=0.9987, images=64)
    assert bf16.to_dict() == {"precision": "bf16", "lowest_cosine_with_float32": 0.9987, "images": 64}
    assert Arithmetic.from_dict(bf16.to_dict()) == bf16
    assert FLOAT32.to_dict() == {"precision": "32"}
    assert Arithmetic.from_dict({}) == Arithmetic.from_dict({"precision": "32"}) == FLOAT32


def test_it_is_told_in_a_sentence() -> None:
    bf16 = Arithmetic(precision="bf16", lowest_cosine=0.99871, images=64)
    assert str(bf16) == "embedded in bf16: on 64 images the lowest cosine with float32 is 0.9987"
    assert str(FLOAT32) == "embedded in 32"
