"""DataParallel, for programs that use several GPUs where there are some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinyvision import missing
from tinyvision.nn.module import Module


class DataParallel(Module):
    """`module` on a machine without GPUs: calls it, and adds "module." to names in state_dict.

    As in PyTorch, the other arguments, which say which GPUs share the work, change nothing then.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[int] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


if not TYPE_CHECKING:
    __getattr__ = missing.names("tinyvision.nn.parallel")
