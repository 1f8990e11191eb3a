"""Devices as PyTorch has them on a machine without accelerators: the CPU is the only one.

Programs ask `cuda.is_available()` and the like, are told no, and go on with `device("cpu")`. Other
devices can be named, but nothing can be put there.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

from tinyvision import missing

_TYPES = ("cpu", "cuda", "mps", "xpu", "hpu", "xla", "meta")


class device:  # noqa: N801 - PyTorch's name
    """A device's type and, where there are several of one type, its index: device("cuda:1").

    As a context, it says where new tensors are made.

    Raises: RuntimeError for a type that PyTorch does not know either, or an index that is none.
    """

    __slots__ = ("index", "type")

    def __init__(self, type: Any, index: int | None = None) -> None:
        if isinstance(type, int):
            raise RuntimeError("Cannot access accelerator device when none is available.")
        if not isinstance(type, str | device):
            raise TypeError(f"device(): argument 'type' must be str, not {type.__class__.__name__}")
        name, colon, number = str(type).partition(":")
        if name not in _TYPES:
            expected = ", ".join(_TYPES)
            raise RuntimeError(f"Expected one of {expected} device type at start of {str(type)!r}")
        if colon and (index is not None or not number.isdecimal()):
            raise RuntimeError(f"Invalid device string: {str(type)!r}")
        self.type = name
        self.index = int(number) if colon else index

    def __enter__(self) -> device:
        require_cpu(self)  # where new tensors are made in any case
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"


CPU = device("cpu")


def require_cpu(where: Any) -> None:
    """Check a `device` argument; None is the CPU.

    Raises: NotImplementedError for another device.
    """
    if where is not None and device(where).type != "cpu":
        raise NotImplementedError(
            f"device={str(where)!r} is not supported; the only device is 'cpu'"
        )


def _no() -> bool:
    """What was asked for is not there."""
    return False


def _none() -> int:
    """How many there are."""
    return 0


def _seed(seed: int) -> None:
    """Seeds generators that are not there, which PyTorch also does in silence."""


def _nothing(*args: Any, **kwargs: Any) -> None:
    """What is to be done concerns another device."""


def module(name: str, **members: Any) -> ModuleType:
    """A module that can also be imported by its name, as in `import torch.backends.cudnn`."""
    module = sys.modules[f"tinyvision.{name}"] = ModuleType(f"tinyvision.{name}")
    vars(module).update(members)
    return module


_absent: dict[str, Any] = {
    "is_available": _no,
    "device_count": _none,
    "manual_seed": _seed,
    "synchronize": _nothing,
}
_cuda_names = missing.names("tinyvision.cuda")
cuda = module(
    "cuda", manual_seed_all=_seed, empty_cache=_nothing, __getattr__=_cuda_names, **_absent
)
mps = module("mps", empty_cache=_nothing, **_absent)
accelerator = module("accelerator", current_accelerator=lambda: None, **_absent)
# The flags are for libraries that are not there; programs set them.
backends = module(
    "backends",
    cudnn=module(
        "backends.cudnn", is_available=_no, enabled=False, benchmark=False, deterministic=False,
        allow_tf32=False,
    ),
    cuda=module("backends.cuda", matmul=SimpleNamespace(allow_tf32=False)),
    mps=module("backends.mps", is_available=_no, is_built=_no),
)  # fmt: skip


def set_default_device(device: Any) -> None:
    """Where new tensors are made.

    Raises: NotImplementedError for anything but the CPU.
    """
    require_cpu(device)


def compile(
    model: Any = None, *, fullgraph: bool = False, dynamic: bool | None = None,
    backend: Any = "inductor", mode: str | None = None, options: Any = None, disable: bool = False,
) -> Any:  # fmt: skip
    """The model or function itself: its kernels are compiled already. Without one, a decorator.

    The arguments say how PyTorch would compile. Its result has "_orig_mod." before the names in a
    state_dict; here they stay as they are.

    Raises: RuntimeError for both mode and options, or a mode that PyTorch does not know.
    """
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    known = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")
    if mode is not None and mode not in known:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(known)}")
    return (lambda model: model) if model is None else model


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Refuse algorithms whose results vary from run to run: there is none here, on any setting."""


def set_float32_matmul_precision(precision: str) -> None:
    """How much of float32's precision products may give up: none is given up on any setting.

    Raises: RuntimeError for a setting that PyTorch does not know.
    """
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"{precision!r} is not a matmul precision: highest, high or medium")
