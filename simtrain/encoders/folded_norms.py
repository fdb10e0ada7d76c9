"""Networks on a CPU with each held BatchNorm folded into its convolution: the same function, fewer passes over maps."""

# Shapes: N images, S = image_size, F features of the network, C channels and K x K weights of a convolution.

from collections.abc import Callable
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from timm.layers.conv2d_same import Conv2dSame, conv2d_same
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, fx, nn
from typing_extensions import override

_CONVOLUTIONS = (nn.Conv2d, Conv2dSame)
_NORMS = (nn.BatchNorm2d, BatchNormAct2d)
_COPYING: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.ReLU6: F.relu6,
    nn.SiLU: F.silu,
    nn.Hardswish: F.hardswish,
}
"""Activations that under gradients copy what they overwrite, so that a new tensor is the cheaper one."""

_folded: "WeakKeyDictionary[nn.Module, tuple[Any, fx.GraphModule | None]]" = WeakKeyDictionary()
"""Network -> the modules and modes that it was read with, and the folded graph; None where nothing can be folded."""


def apply_folded(network: nn.Module, images: Tensor, *, recomputes: bool = False) -> Tensor:
    """What the network gives, on a CPU with its held BatchNorms folded into the convolutions before them.

    With its statistics m and v held, BatchNorm maps x to (x - m) g / sqrt(v + e) + b. After a convolution with the
    weights w, that is a convolution with the weights w g / sqrt(v + e) and the bias b - m g / sqrt(v + e), whose few
    numbers pass on the gradients of w, g and b instead of whole feature maps (Jacob et al. 2018, arXiv 1712.05877,
    section 3.2, for inference). Results differ by rounding alone. The network stays as it is; one that is no fixed
    graph of layers, that something listens to, or that is being compiled or exported is called as it is.

    Args:
        network: A network of timm or torchvision, which depends on its images in their values alone.
        images: (N, 3, S, S) normalised images.
        recomputes: Whether it computes activations again on the way back; under gradients it is called as it is then.

    Returns:
        (N, F) features.
    """
    as_it_is = recomputes and torch.is_grad_enabled()
    if as_it_is or images.device.type != "cpu" or torch.compiler.is_compiling():
        return cast(Tensor, network(images))
    graph = _folded_graph(network)
    return cast(Tensor, network(images) if graph is None else graph(images))


class FoldedConvolution(nn.Module):
    """A convolution, the BatchNorm after it and the activation that belongs to that one.

    Args:
        convolution: Without hooks; its weights stay its own.
        norm: Whose statistics are held whenever it is in evaluation mode.
    """

    def __init__(self, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = norm

    @override
    def forward(self, images: Tensor) -> Tensor:
        convolution, norm = self.convolution, self.norm
        if norm.training or norm.running_mean is None or norm.running_var is None:
            return cast(Tensor, norm(convolution(images)))
        scale = torch.rsqrt(norm.running_var + norm.eps)
        scale = scale if norm.weight is None else scale * norm.weight
        mean = norm.running_mean if convolution.bias is None else norm.running_mean - convolution.bias
        bias = -mean * scale if norm.bias is None else norm.bias - mean * scale
        return self._activated(self._convolved(images, convolution.weight * scale[:, None, None, None], bias))

    def _convolved(self, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """With (C, C', K, K) weights and (C,) biases in place of the convolution's own."""
        layer = self.convolution
        if isinstance(layer, Conv2dSame):
            padded = (layer.stride, layer.padding, layer.dilation, layer.groups)
            return cast(Tensor, conv2d_same(images, weight, bias, *cast(Any, padded)))
        return cast(Tensor, layer._conv_forward(images, weight, bias))

    def _activated(self, maps: Tensor) -> Tensor:
        if not isinstance(self.norm, BatchNormAct2d):
            return maps
        maps = self.norm.drop(maps)
        activation = self.norm.act
        copying = _COPYING.get(type(activation)) if maps.requires_grad else None
        return cast(Tensor, activation(maps)) if copying is None else copying(maps)


class _Layers(fx.Tracer):
    """Reads a network down to its layers, convolutions and norms whole."""

    @override
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (*_CONVOLUTIONS, *_NORMS)) or next(m.children(), None) is None


def _folded_graph(network: nn.Module) -> fx.GraphModule | None:
    """The network's graph with folded layers, read again when its modules, their modes or tensors have changed."""
    parts = [(id(part), part.training) for part in network.modules()]
    state = (parts, [id(value) for value in (*network.parameters(), *network.buffers())])
    known = _folded.get(network)
    if known is None or known[0] != state:
        known = _folded[network] = (state, _read(network))
    return None if _is_listened_to(network) else known[1]


def _is_listened_to(network: nn.Module) -> bool:
    return any(part._forward_hooks or part._forward_pre_hooks for part in network.modules())


def _read(network: nn.Module) -> fx.GraphModule | None:
    layers = dict(network.named_modules())
    if not any(type(layer) in _NORMS for layer in layers.values()):
        return None
    try:
        with torch.no_grad():
            graph = _Layers().trace(network)
    except Exception:  # no fixed graph: it asks of its images how to go on, by whatever way fails first
        return None
    pairs = [pair for node in graph.nodes if (pair := _foldable(node, layers)) is not None]
    if not pairs:
        return None
    module = fx.GraphModule(network, graph)
    for before, after in pairs:
        name = f"folded_{before.name}"
        convolution, norm = layers[str(before.target)], layers[str(after.target)]
        module.add_module(name, FoldedConvolution(cast(nn.Conv2d, convolution), cast(nn.BatchNorm2d, norm)))
        with graph.inserting_before(before):
            folded = graph.call_module(name, before.args)
        after.replace_all_uses_with(folded)
        graph.erase_node(after)
        graph.erase_node(before)
    module.recompile()
    return module


def _foldable(node: fx.Node, layers: dict[str, nn.Module]) -> tuple[fx.Node, fx.Node] | None:
    """A convolution that only the norm behind it reads, and that norm."""
    if node.op != "call_module" or type(layers[str(node.target)]) not in _NORMS or not node.args:
        return None
    before = node.args[0]
    if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
        return None
    return (before, node) if type(layers[str(before.target)]) in _CONVOLUTIONS else None
