"""Tensors that claim to lie on a GPU, computed on the CPU: devices that do not match raise, waits are counted."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

import simtrain

GPU = torch.device("cuda", 0)
_PACKAGE = str(Path(simtrain.__file__).parent)
_SHAPE_OF_VALUES = {
    "bincount",
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "repeat_interleave",
}
_VALUES = {"_local_scalar_dense", "equal", "is_nonzero"}
_waits: list["Waits"] = []


class Waits:
    """Lines at which the host waited for the GPU.

    Attributes:
        ours: `file:line` within the package -> how often an operation of its own waited there.
        theirs: The same of operations within a library that the line called.
    """

    def __init__(self) -> None:
        self.ours: Counter[str] = Counter()
        self.theirs: Counter[str] = Counter()

    def note(self, operation: str) -> None:
        frame = sys._getframe(1)
        between = False
        while frame is not None:
            name = frame.f_code.co_filename
            if name.startswith(_PACKAGE):
                place = f"{name[len(_PACKAGE) + 1 :]}:{frame.f_lineno} {operation}"
                (self.theirs if between else self.ours)[place] += 1
                return
            between |= "site-packages" in name and "/torch/" not in name
            frame = frame.f_back
        self.theirs[operation] += 1


@contextmanager
def counted_waits() -> Iterator[Waits]:
    """Count the waits within the block."""
    _waits.append(Waits())
    try:
        yield _waits[-1]
    finally:
        _waits.pop()


class ClaimedTensor(Tensor):
    """A tensor of the CPU that says that it lies on a GPU; for autograd, which would ask for a stream, on `meta`."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "ClaimedTensor":
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device="meta",
            requires_grad=held.requires_grad,
        )
        made.held = held.detach()
        return made

    @property
    def device(self) -> torch.device:
        return GPU

    @property
    def is_cuda(self) -> bool:
        return True

    @classmethod
    def __torch_dispatch__(
        cls, operation: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _computed(operation, args, dict(kwargs or {}))


class ClaimedGpu(TorchDispatchMode):
    """Within it tensors are made on the claimed GPU too."""

    def __init__(self) -> None:
        super().__init__()
        self._mode_key = torch._C._TorchDispatchModeKey.FAKE  # so that no driver is looked for

    def __enter__(self) -> "ClaimedGpu":
        self._before = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        super().__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        super().__exit__(*failure)
        torch._C._set_only_lift_cpu_tensors(self._before)
        torch.__future__.set_overwrite_module_params_on_conversion(False)

    def __torch_dispatch__(
        self, operation: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _computed(operation, args, dict(kwargs or {}))


def claimed(value: Tensor) -> Tensor:
    """The same numbers, said to lie on the GPU."""
    with torch.no_grad():
        return ClaimedTensor(value)


def on_claimed_gpu(module: nn.Module) -> nn.Module:
    """Move the parameters and buffers of a module there."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(claimed(parameter), requires_grad=parameter.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = claimed(buffer)
    return module


def _computed(operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    name = operation.overloadpacket.__name__
    tensors: list[Tensor] = []
    tree_map(lambda value: tensors.append(value) if isinstance(value, Tensor) else None, (args, kwargs))
    target = kwargs.get("device")
    on_gpu = any(isinstance(value, ClaimedTensor) for value in tensors)
    if name in ("_to_copy", "copy_"):
        return _moved(operation, args, kwargs, name)
    if on_gpu:
        _check_devices(name, tensors)
    if on_gpu and (name in _VALUES | _SHAPE_OF_VALUES or _masks(name, args)):
        _note(name)
    if target is not None:
        on_gpu = _is_gpu(target)
        kwargs["device"] = "cpu"
    found = operation(*tree_map(_plain, args), **tree_map(_plain, kwargs))
    if operation._schema.name.endswith("_") and not name.startswith("_") and tensors:
        return args[0]  # in place
    return tree_map(_wrapped, found) if on_gpu else found


def _moved(operation: Any, args: Sequence[Any], kwargs: dict[str, Any], name: str) -> Any:
    if name == "copy_":
        into, source = args[0], args[1]
        if isinstance(source, ClaimedTensor) and not isinstance(into, ClaimedTensor):
            _note("copy to the host")
        operation(_plain(into), _plain(source), *args[2:], **kwargs)
        return into
    source, target = args[0], kwargs.get("device")
    from_gpu = isinstance(source, ClaimedTensor)
    to_gpu = from_gpu if target is None else _is_gpu(target)
    if from_gpu and not to_gpu:
        _note("copy to the host")
    elif to_gpu and not from_gpu and not kwargs.get("non_blocking"):
        _note("copy from the host")
    found = operation(_plain(source), **{**kwargs, **({} if target is None else {"device": "cpu"})})
    return claimed(found) if to_gpu else found


def _is_gpu(device: Any) -> bool:
    return torch.device(device).type in ("cuda", "meta")


def _check_devices(name: str, tensors: Sequence[Tensor]) -> None:
    for value in tensors:
        indexed = name in ("index", "index_put", "index_put_", "_index_put_impl_")  # by a place that the host knows
        if not isinstance(value, ClaimedTensor) and value.dim() > 0 and not indexed:
            raise RuntimeError(f"{name}: a tensor of the CPU, {tuple(value.shape)}, meets one of the GPU")


def _masks(name: str, args: Sequence[Any]) -> bool:
    if name not in ("index", "index_put_", "index_put", "_index_put_impl_"):
        return False
    if name != "index" and args[2].dim() == 0:
        return False  # torch fills under a mask without looking at it
    return any(isinstance(place, ClaimedTensor) and place.dtype == torch.bool for place in args[1] if place is not None)


def _note(operation: str) -> None:
    for waits in _waits:
        waits.note(operation)


def _plain(value: Any) -> Any:
    return value.held if isinstance(value, ClaimedTensor) else value


def _wrapped(value: Any) -> Any:
    return claimed(value) if isinstance(value, Tensor) and not isinstance(value, ClaimedTensor) else value


Move = Callable[[Tensor], Tensor]
