"""Mixed precision as PyTorch has it on a machine without CUDA: asked for, it warns and stays off.

So a training loop that is written for GPUs runs here in the precision of its tensors, and
GradScaler, which keeps small gradients from becoming 0 in half precision, has nothing to do.
"""

from __future__ import annotations

import warnings
from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Any

from tinyvision import missing
from tinyvision.devices import cuda, device, module
from tinyvision.dtypes import Half


class autocast(ContextDecorator):  # noqa: N801 - PyTorch's name
    """Context manager or decorator in which products would be computed in half precision.

    Raises: NotImplementedError where PyTorch would do that, on a CPU unless `enabled` is False;
        RuntimeError for an unknown device_type, ValueError for one that is no str.
    """

    def __init__(
        self,
        device_type: str,
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if device(device_type).type == "cuda":
            if enabled:
                _warn("CUDA is not available or torch_xla is imported. Disabling autocast.")
        elif enabled and (dtype is None or isinstance(dtype, Half)):
            name = (dtype or Half.bfloat16).name
            raise NotImplementedError(
                f"autocast({device_type!r}): dtype {name} is not supported; enabled=False is"
            )
        elif enabled:
            _warn(
                f"In {device_type.upper()} autocast, but the target dtype is not supported. "
                f"Disabling autocast.\n{device_type.upper()} Autocast only supports dtypes of "
                "torch.bfloat16, torch.float16 currently."
            )

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


class GradScaler:
    """Scales a loss, its gradients back, and skips steps whose gradients overflowed: never, here.

    The numbers say how the scale changes. Raises: NotImplementedError for a device other than
    "cuda", on which PyTorch would not switch it off, unless `enabled` is False.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if enabled and device != "cuda":
            raise NotImplementedError(
                f"GradScaler({device!r}): half precision is not supported; enabled=False is"
            )
        if enabled:
            _warn("torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.")

    def scale(self, outputs: Any) -> Any:
        """The outputs as they are."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Nothing: the gradients are not scaled."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """The optimizer's step."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Nothing: there is no scale."""

    def get_scale(self) -> float:
        """Always 1.0."""
        return 1.0

    def is_enabled(self) -> bool:
        """Always False."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Always empty."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing: there is no state."""


# ------------------------------------------------------------------ the older names


class _CudaAutocast(autocast):
    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> None:
        _warn_of_old_name("autocast")
        super().__init__("cuda", dtype, enabled, cache_enabled)


class _CudaGradScaler(GradScaler):
    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        _warn_of_old_name("GradScaler")
        super().__init__(enabled=enabled)


def _warn_of_old_name(name: str) -> None:
    warnings.warn(
        f"`torch.cuda.amp.{name}(args...)` is deprecated. "
        f"Please use `torch.amp.{name}('cuda', args...)` instead.",
        FutureWarning,
        stacklevel=3,
    )


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=3)


_cuda_names = missing.names("tinyvision.cuda.amp")
vars(cuda)["amp"] = module(
    "cuda.amp", autocast=_CudaAutocast, GradScaler=_CudaGradScaler, __getattr__=_cuda_names
)

if not TYPE_CHECKING:
    __getattr__ = missing.names("tinyvision.amp")
