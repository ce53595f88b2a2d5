# SPDX-License-Identifier: Apache-2.0
"""torchvision's transforms, imported without torch's compiler.

torchvision and timm import the compiler to mark a few functions that it shall leave out, and to ask
it one question (``torchvision.ops.roi_align``). Nothing of that is used here, and it takes almost
as long as importing torch. So both are put off until they are needed, in the way in which torch
itself does it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch  # first: it must not meet the stand-ins
from torch._compile import _disable_dynamo

COMPILER, ASKED = "torch._dynamo", "torch._dynamo.utils"


@contextmanager
def compiler_put_off() -> Iterator[None]:
    """Inside, the compiler is a stand-in; afterwards it is imported as usual by who needs it.

    >>> with compiler_put_off():
    ...     import timm
    """
    if COMPILER in sys.modules:
        yield
        return
    package: Any = ModuleType(COMPILER)
    package.__path__, package.disable = [], _disable
    utils: Any = ModuleType(ASKED)
    utils.is_compile_supported = _is_compile_supported
    sys.modules |= {COMPILER: package, ASKED: utils}
    torch._dynamo = package
    try:
        yield
    finally:
        del sys.modules[COMPILER], sys.modules[ASKED], torch._dynamo


def _disable(function: Callable[..., Any] | None = None, recursive: bool = True, **_: Any) -> Any:
    return _disable_dynamo(function, recursive)


def _is_compile_supported(device: str) -> bool:
    from torch._dynamo.utils import is_compile_supported

    return is_compile_supported(device)


with compiler_put_off():
    from torchvision.transforms import v2
    from torchvision.transforms.v2 import functional

__all__ = ["compiler_put_off", "functional", "v2"]
