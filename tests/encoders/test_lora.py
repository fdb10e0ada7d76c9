"""Low-rank factors against the paper's formula, and what is left of them in the end: nothing but other weights."""

# Shapes: N images, S = 32, R the rank.

import sys
from typing import Any

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from simtrain.encoders.lora import LoraSettings, add_factors, check_factors, has_factors
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.timm import TimmEncoder
from simtrain.errors import ConfigError, SimtrainError

pytest.importorskip("peft")

SIZE = 32


def settings(**changes: Any) -> LoraSettings:
    usual: dict[str, Any] = {"rank": 2, "alpha": 3.0, "dropout": 0.0, "targets": []}
    return LoraSettings(**{**usual, **changes})


def small_vit() -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(img_size=SIZE, patch_size=16, embed_dim=16, depth=2, num_heads=2, num_classes=0)


def encoder(*, learned: bool = False, embedding_size: int | None = None, **changes: Any) -> TimmEncoder:
    """A small transformer with factors, as they start or as though they had learned."""
    network = small_vit()
    preprocessing = Preprocessing(
        image_size=SIZE,
        resize="pad",
        interpolation="bicubic",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        flip_averaging=False,
    )
    found = TimmEncoder(network=network, embedding_size=embedding_size, preprocessing=preprocessing)
    add_factors(network, settings=settings(**changes), model="small")
    for name, parameter in found.named_parameters():
        if learned and "lora_B" in name:
            nn.init.normal_(parameter, std=0.3)
    return found


def pixels() -> Tensor:
    return torch.randint(0, 256, (4, SIZE, SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def learning(network: nn.Module) -> set[str]:
    return {name for name, parameter in network.named_parameters() if parameter.requires_grad}


def test_factors_stand_beside_the_attention_and_nothing_else_learns():
    assert learning(encoder()) == {
        f"network.blocks.{block}.attn.qkv.lora_{factor}.default.weight" for block in (0, 1) for factor in "AB"
    }


def test_targets_say_where_factors_stand():
    expected = {
        f"network.blocks.0.mlp.{layer}.lora_{factor}.default.weight" for layer in ("fc1", "fc2") for factor in "AB"
    }
    assert learning(encoder(targets=["blocks.0.mlp.fc*"])) == expected


def test_star_stands_for_any_part_of_a_name():
    assert learning(encoder(targets=["*.attn.proj"])) == {
        f"network.blocks.{block}.attn.proj.lora_{factor}.default.weight" for block in (0, 1) for factor in "AB"
    }


def test_factors_are_of_the_rank():
    layer = encoder(rank=5).network.blocks[0].attn.qkv
    assert layer.lora_A["default"].weight.shape == (5, 16)
    assert layer.lora_B["default"].weight.shape == (48, 5)


def test_name_of_a_layer_is_not_the_ending_of_another_s():
    network = nn.ModuleDict({"qkv": nn.Linear(2, 2), "deep": nn.ModuleDict({"qkv": nn.Linear(2, 2)})})
    add_factors(network, settings=settings(targets=["qkv"]), model="two")
    assert learning(network) == {"qkv.lora_A.default.weight", "qkv.lora_B.default.weight"}


def test_at_first_nothing_changes():
    plain = TimmEncoder(network=small_vit(), embedding_size=None, preprocessing=encoder().preprocessing).eval()
    torch.testing.assert_close(encoder().eval().embed_pixels(pixels()), plain.embed_pixels(pixels()), rtol=0, atol=1e-7)


def test_a_layer_with_factors_is_that_of_the_paper():
    """https://arxiv.org/abs/2106.09685, eq. 3, with its scale of alpha / R."""
    layer = encoder(learned=True, rank=4, alpha=2.5).network.blocks[0].attn.qkv
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    values = torch.randn(3, 16)
    expected = values @ (layer.base_layer.weight + 2.5 / 4 * up @ down).T + layer.base_layer.bias
    torch.testing.assert_close(layer(values), expected)


def test_inputs_of_factors_are_dropped_in_training_only():
    layer = encoder(learned=True, dropout=0.5).network.blocks[0].attn.qkv
    values = torch.ones(3, 16)
    assert not torch.equal(layer.train()(values), layer(values))
    assert torch.equal(layer.eval()(values), layer(values))


def test_factors_learn_at_the_encoder_s_rate():
    reduced = encoder(embedding_size=8)
    assert reduced.new_parameters() == [reduced.reduction.weight]
    assert reduced.reduction.weight.requires_grad


def test_factors_lie_in_the_layer_that_they_stand_beside():
    depths = encoder().depth_of()
    assert depths["network.blocks.1.attn.qkv.lora_A.default.weight"] == depths["network.blocks.1.norm1.weight"] == 2


def test_merged_is_a_plain_network_of_the_same_embeddings():
    tuned = encoder(learned=True).eval()
    merged = tuned.merged()
    assert list(merged.network.state_dict()) == list(small_vit().state_dict())
    assert not any("peft" in name for part in merged.modules() for name in vars(part))
    torch.testing.assert_close(merged.embed_pixels(pixels()), tuned.embed_pixels(pixels()), rtol=0, atol=1e-6)


def test_learned_factors_move_the_embeddings():
    moved = encoder(learned=True).eval().embed_pixels(pixels()) - encoder().eval().embed_pixels(pixels())
    assert moved.abs().max() > 0.01


def test_merging_leaves_the_factors_where_they_were():
    tuned = encoder(learned=True)
    before = {name: value.clone() for name, value in tuned.state_dict().items()}
    tuned.merged()
    assert list(tuned.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in tuned.state_dict().items())


def test_merged_weights_can_be_learned():
    merged = encoder(learned=True).merged()
    assert learning(merged) == {name for name, _ in merged.named_parameters()}


def test_without_factors_merged_is_the_encoder_itself():
    plain = encoder().merged()
    assert plain.merged() is plain


def test_weights_of_a_plain_encoder_are_taken_beside_the_factors():
    source = encoder(learned=True).merged().eval()
    taker = encoder()
    nn.init.zeros_(taker.network.blocks[0].attn.qkv.base_layer.weight)
    taker.load_plain(source.state_dict())
    torch.testing.assert_close(taker.eval().embed_pixels(pixels()), source.embed_pixels(pixels()), rtol=0, atol=1e-7)


def test_plain_weights_of_another_network_are_refused():
    tensors = encoder().merged().state_dict()
    with pytest.raises(RuntimeError, match=r"network\.blocks\.0\.attn\.qkv\.base_layer\.weight"):
        encoder().load_plain({name: value for name, value in tensors.items() if "qkv" not in name})


def test_saved_factors_are_taken_by_an_encoder_built_alike():
    tuned, other = encoder(learned=True).eval(), encoder().eval()
    other.load_state_dict(tuned.state_dict())
    assert torch.equal(other.embed_pixels(pixels()), tuned.embed_pixels(pixels()))


def test_has_factors_tells_them_from_none():
    assert (has_factors(encoder()), has_factors(small_vit())) == (True, False)


@pytest.mark.parametrize(
    ("model", "targets", "expected"),
    [
        (
            "resnet18",
            [],
            "targets: none named, and resnet18 has no linear layers of an attention (qkv, q_proj, k_proj, v_proj); "
            "low-rank factors are for vision transformers",
        ),
        (
            "mixer_s32_224",
            [],
            "targets: none named, and mixer_s32_224 has no linear layers of an attention "
            "(qkv, q_proj, k_proj, v_proj); "
            "name some; it has blocks.0.mlp_tokens.fc1, blocks.0.mlp_tokens.fc2, "
            "blocks.0.mlp_channels.fc1, …",
        ),
        ("resnet18", ["fc"], "targets: no linear layer of resnet18 matches 'fc'; it has none"),
        (
            "vit_tiny_patch16_224",
            ["*.fc1", "blocks.0.attn.qvk"],
            "targets: no linear layer of vit_tiny_patch16_224 matches 'blocks.0.attn.qvk'; "
            "did you mean 'blocks.0.attn.qkv'?",
        ),
        (
            "vit_tiny_patch16_224",
            ["zzz"],
            "targets: no linear layer of vit_tiny_patch16_224 matches 'zzz'; "
            "it has blocks.0.attn.qkv, blocks.0.attn.proj, blocks.0.mlp.fc1, …",
        ),
    ],
)
def test_network_without_such_layers_is_told(model: str, targets: list[str], expected: str):
    with torch.device("meta"):
        network = timm.create_model(model, num_classes=0)
    with pytest.raises(ConfigError) as caught:
        add_factors(network, settings=settings(targets=targets), model=model)
    assert str(caught.value) == expected


def test_extra_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(SimtrainError) as caught:
        add_factors(small_vit(), settings=settings(), model="small")
    assert str(caught.value) == "needs the extra: pip install 'simtrain[lora]'"


def test_every_factor_is_passed():
    network = encoder().network.train()
    check_factors(network, image_size=SIZE, model="small")
    assert network.training
    assert not any(part._forward_pre_hooks for part in network.modules())


def test_layer_that_an_image_does_not_pass_is_told():
    """timm's BEiT adds biases of its own, for which it takes the layer's weights and leaves the layer."""
    network = timm.models.beit.Beit(
        img_size=SIZE, patch_size=16, embed_dim=16, depth=2, num_heads=2, num_classes=0, qkv_bias=True
    )
    add_factors(network, settings=settings(), model="a BEiT")
    with pytest.raises(ConfigError) as caught:
        check_factors(network, image_size=SIZE, model="a BEiT")
    assert str(caught.value) == (
        "targets: a BEiT uses the weights of 2 layers without passing through them, such as "
        "'blocks.0.attn.qkv'; their factors would learn nothing, name other layers"
    )
