# SPDX-License-Identifier: Apache-2.0
"""An accelerator that is not there: tensors of a device "standin", which the processor computes.

As on a real one, tensors of two devices do not mix, and there are no 64-bit floats, as on MPS. It
is registered with torch for good, so whoever imports this needs a process of its own.
"""

from typing import Any

import torch
from torch.utils._pytree import tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "standin"
calls: list[str] = []  # operations that were computed


class Module:
    """What torch asks of a device's module; it takes ``torch.standin`` for that."""

    is_available = staticmethod(lambda: True)
    is_initialized = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 1)
    current_device = staticmethod(lambda: 0)
    set_device = staticmethod(lambda index: None)
    get_device_name = staticmethod(lambda device=None: "stand-in of the tests")
    get_amp_supported_dtype = staticmethod(lambda: [torch.bfloat16])
    manual_seed_all = staticmethod(lambda seed: None)
    _is_in_bad_fork = staticmethod(lambda: False)
    _lazy_init = staticmethod(lambda: None)


_setup_privateuseone_for_python_backend(NAME, backend_module=Module())
DEVICE = torch.device(NAME, 0)
# else a module moves by exchanging its tensors' insides, of which torch sees the outside only
torch.__future__.set_overwrite_module_params_on_conversion(True)


class Standin(torch.Tensor):
    """A tensor of the device; ``on_cpu`` is where it really is."""

    on_cpu: torch.Tensor

    @staticmethod
    def __new__(cls, on_cpu: torch.Tensor) -> "Standin":
        if on_cpu.dtype == torch.float64:
            raise TypeError(f"{NAME} does not support float64")
        made = torch.Tensor._make_wrapper_subclass(
            cls, on_cpu.size(), strides=on_cpu.stride(), storage_offset=on_cpu.storage_offset(),
            dtype=on_cpu.dtype, device=DEVICE,
        )  # fmt: skip
        made.on_cpu = on_cpu
        return made

    def tolist(self) -> Any:
        return self.on_cpu.tolist()

    def new_tensor(self, data: Any, **options: Any) -> torch.Tensor:
        return tensor(data, **{"dtype": self.dtype, "device": self.device} | options)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


_tensor = torch.tensor


def tensor(data: Any, *, device: Any = None, **options: Any) -> torch.Tensor:
    """``torch.tensor``, which works beneath the level at which a backend in Python is asked."""
    made = _tensor(data, **options)
    return made if device is None else made.to(device)


torch.tensor = tensor  # type: ignore[assignment]
COPIES = ("aten::copy_", "aten::_to_copy", "aten::_copy_from")


def compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation on the processor, and wrap what it gives."""
    name = func._schema.name
    calls.append(name)
    if name == "aten::to":  # in inference mode it arrives whole
        return converted(*args, **kwargs)
    target = kwargs.get("device")
    out = target is not None and torch.device(target).type == "cpu"
    if target is not None:
        kwargs = kwargs | {"device": "cpu"}
    given: dict[int, Standin] = {}
    strangers = []

    def inside(tensor: torch.Tensor) -> torch.Tensor:
        if isinstance(tensor, Standin):
            given[id(tensor.on_cpu)] = tensor
            return tensor.on_cpu
        if tensor.ndim:
            strangers.append(tensor)
        return tensor

    args, kwargs = tree_map_only(torch.Tensor, inside, (args, kwargs))
    if given and strangers and name not in COPIES and "index" not in name:
        raise RuntimeError(f"{name}: tensors of {NAME} and of cpu")
    if name == "aten::copy_" and not isinstance_first(given, args):
        return func(*args, **kwargs)  # from the device to the processor
    result = func(*args, **kwargs)
    if out:
        return result
    return tree_map_only(
        torch.Tensor, lambda one: given[id(one)] if id(one) in given else Standin(one), result
    )


def converted(tensor: torch.Tensor, *given: Any, **options: Any) -> torch.Tensor:
    """``tensor.to``: a tensor as another is, or on a device, in a number format."""
    values = [*given, *options.values()]
    device, dtype = tensor.device, tensor.dtype
    for value in values:
        if isinstance(value, torch.Tensor):
            device, dtype = value.device, value.dtype
        elif isinstance(value, torch.device):
            device = value
        elif isinstance(value, torch.dtype):
            dtype = value
    order = next((v for v in values if isinstance(v, torch.memory_format)), torch.preserve_format)
    inner = tensor.on_cpu if isinstance(tensor, Standin) else tensor
    moved = inner.to(dtype, memory_format=order)
    return moved if device.type == "cpu" else Standin(moved)


def isinstance_first(given: dict[int, Standin], args: Any) -> bool:
    return id(args[0]) in given


_library = torch.library.Library("_", "IMPL")
_library.fallback(lambda func, *args, **kwargs: compute(func, args, kwargs), "PrivateUse1")
