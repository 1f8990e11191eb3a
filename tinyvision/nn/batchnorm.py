"""BatchNorm1d and BatchNorm2d, InstanceNorm1d and InstanceNorm2d.

y = (x - mean) / sqrt(var + eps) * weight + bias, with mean and var of each channel: over the batch
and all pixels, or over the pixels of one example. Weight, bias and running statistics are (C,).
The sources are given in nn.functional.
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import tinyvision.nn.functional as F
from tinyvision.checks import as_int
from tinyvision.creation import tensor, zeros
from tinyvision.devices import require_cpu
from tinyvision.dtypes import int64
from tinyvision.nn.normalization import Normalization
from tinyvision.tensor import Tensor


class _BatchNorm(Normalization):
    """In training, mean and var are those of the batch, and running averages of them are kept:
    running = (1 - momentum) * running + momentum * batch; momentum=None keeps the plain average
    of all batches. In evaluation the running averages are used, if there are any.
    """

    _dims: ClassVar[tuple[int, ...]]  # how many dims the input may have
    _optional_state = ("num_batches_tracked",)  # PyTorch before 0.4.1 did not count

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = as_int(num_features, type(self).__name__, "num_features")
        self.eps, self.momentum = eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        require_cpu(device)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, dtype=dtype) if tracked else None)
        self.register_buffer("running_var", zeros(num_features, dtype=dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0, dtype=int64) if tracked else None)
        self._make_parameters((num_features,), affine, affine and bias, device, dtype)

    def reset_running_stats(self) -> None:
        """Start the running averages again, from mean 0 and variance 1."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Set weight to 1 and bias to 0, and start the running averages again."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in self._dims:
            expected = " or ".join(f"{n}D" for n in self._dims)
            raise ValueError(f"expected {expected} input (got {input.dim()}D input)")

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        # In training without tracking, the running averages are neither read nor written.
        visible = self.track_running_stats or not self.training
        running_mean = self.running_mean if visible else None
        running_var = self.running_var if visible else None
        # Without running averages, evaluation has to use the batch's statistics as well.
        training, momentum = self.training or running_mean is None, self._share_of_batch()
        return F.batch_norm(
            input, running_mean, running_var, self.weight, self.bias, training, momentum, self.eps
        )

    def _share_of_batch(self) -> float:
        """The weight of this batch in the running averages; counts it if it is a training one."""
        tracks = self.training and self.track_running_stats
        if tracks and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                return 1.0 / self.num_batches_tracked.item()
        return 0.0 if self.momentum is None else self.momentum

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Vectors (N, C) or sequences (N, C, L), each channel normalised over N and L.

    See F.batch_norm. Running averages take the place of the batch's mean and var in evaluation.
    """

    _dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Images (N, C, H, W), each channel normalised over N, H and W.

    See F.batch_norm. Running averages take the place of the batch's mean and var in evaluation.
    """

    _dims = (4,)


class _InstanceNorm(_BatchNorm):
    """Batch normalisation of each example by itself, see F.instance_norm."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        batch = input if input.dim() == max(self._dims) else input.unsqueeze(0)
        if batch.shape[1] != self.num_features:
            message = (
                "expected input's size at dim=1 to match num_features "
                f"({self.num_features}), but got: {batch.shape[1]}."
            )
            if self.affine:
                raise ValueError(message)
            warnings.warn(message, stacklevel=2)
        own, momentum = self.training or not self.track_running_stats, self.momentum or 0.0
        output = F.instance_norm(
            batch, self.running_mean, self.running_var, self.weight, self.bias, own, momentum,
            self.eps,
        )  # fmt: skip
        return output if batch is input else output.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of sequences (N, C, L) or (C, L)."""

    _dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of images (N, C, H, W) or (C, H, W)."""

    _dims = (3, 4)
