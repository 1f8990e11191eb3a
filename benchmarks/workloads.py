"""Single operations: their inputs, and how each library does them.

An operation is a dataclass whose fields are its sizes. `run` does it in PyTorch's API, which is
tinyvision's, too; `run_jax` in JAX, with the axes in JAX's order. All get the same numbers.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

# How JAX lays out its arrays, as a permutation of PyTorch's axes.
IMAGES = (0, 2, 3, 1)  # (N, C, H, W) -> (N, H, W, C)
FILTERS = (2, 3, 1, 0)  # (C_out, C_in, kH, kW) -> (kH, kW, C_in, C_out)
HEADS = (0, 2, 1, 3)  # (B, H, T, D) -> (B, T, H, D)


@dataclass(frozen=True)
class Operation:
    """Base of the operations.

    gradients: the inputs that get one. axes: JAX's order of the axes, per input and for "output".
    """

    def shapes(self) -> dict[str, tuple[int, ...]]:
        raise NotImplementedError

    def arrays(self) -> dict[str, np.ndarray]:
        """The inputs: standard normal, always the same."""
        random = generator(self.name)
        return {n: random.standard_normal(s, np.float32) for n, s in self.shapes().items()}

    @property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def gradients(self) -> tuple[str, ...]:
        return tuple(self.shapes())

    @property
    def axes(self) -> dict[str, tuple[int, ...]]:
        return {}

    def operations(self) -> float | None:
        """Additions and multiplications of forward; None where they are not what takes the time."""
        return None

    def backward_operations(self) -> float:
        """Each product has two factors, and each of them a gradient that is such a product."""
        return (self.operations() or 0) * len([g for g in self.gradients if g != "bias"])

    def run(self, lib: Any, **tensors: Any) -> Any:
        raise NotImplementedError

    def run_jax(self, **arrays: Any) -> Any:
        raise NotImplementedError


def generator(name: str) -> np.random.Generator:
    """Random numbers that depend on the name only."""
    return np.random.default_rng(zlib.crc32(name.encode()))


@dataclass(frozen=True)
class MatrixProduct(Operation):
    """A large one, by the library's BLAS: what the machine can do at best."""

    n: int = 2048

    @property
    def name(self):
        return f"matrix product {self.n}³"

    def shapes(self):
        return {"input": (self.n, self.n), "other": (self.n, self.n)}

    def operations(self):
        return 2.0 * self.n**3

    def run(self, lib, input, other):
        return lib.matmul(input, other)

    def run_jax(self, input, other):
        return input @ other


@dataclass(frozen=True)
class Conv2d(Operation):
    C_in: int
    C_out: int
    size: int
    kernel: int
    batch: int = 128
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def name(self):
        more = f" stride {self.stride}" if self.stride > 1 else ""
        more += " depthwise" if self.groups > 1 else ""
        channels, size = f"{self.C_in}→{self.C_out}", f"{self.size}×{self.size}"
        return f"conv {self.kernel}×{self.kernel}{more} {channels} @{size} N={self.batch}"

    def shapes(self):
        weight = self.C_out, self.C_in // self.groups, self.kernel, self.kernel
        images = self.batch, self.C_in, self.size, self.size
        return {"input": images, "weight": weight, "bias": (self.C_out,)}

    @property
    def gradients(self):
        # With 1 or 3 channels it is the first of a network, and its input is a photograph.
        return ("weight", "bias") if self.C_in in (1, 3) else ("input", "weight", "bias")

    @property
    def axes(self):
        return {"input": IMAGES, "weight": FILTERS, "output": IMAGES}

    def operations(self):
        out = (self.size + 2 * self.padding - self.kernel) // self.stride + 1
        per_pixel = 2.0 * self.C_out * self.C_in // self.groups * self.kernel**2
        return self.batch * out**2 * per_pixel

    def run(self, lib, input, weight, bias):
        options = {"stride": self.stride, "padding": self.padding, "groups": self.groups}
        return lib.nn.functional.conv2d(input, weight, bias, **options)

    def run_jax(self, input, weight, bias):
        from jax import lax

        return bias + lax.conv_general_dilated(
            input,
            weight,
            (self.stride, self.stride),
            [(self.padding, self.padding)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=self.groups,
        )


@dataclass(frozen=True)
class Pool(Operation):
    """Maxima or means over windows; over whole images if the kernel is as large as they are."""

    kind: str
    C_in: int
    size: int
    kernel: int
    stride: int
    padding: int = 0
    batch: int = 128

    @property
    def name(self):
        more = f" stride {self.stride}" if self.stride != self.kernel else ""
        size = f"{self.size}×{self.size}"
        return f"{self.kind}_pool {self.kernel}×{self.kernel}{more} {self.C_in} @{size}"

    def shapes(self):
        return {"input": (self.batch, self.C_in, self.size, self.size)}

    @property
    def axes(self):
        return {"input": IMAGES, "output": IMAGES}

    def run(self, lib, input):
        F = lib.nn.functional
        pool = F.max_pool2d if self.kind == "max" else F.avg_pool2d
        return pool(input, self.kernel, self.stride, self.padding)

    def run_jax(self, input):
        from jax import lax

        window, strides = (1, self.kernel, self.kernel, 1), (1, self.stride, self.stride, 1)
        pads = [(0, 0), (self.padding,) * 2, (self.padding,) * 2, (0, 0)]
        if self.kind == "max":
            return lax.reduce_window(input, -math.inf, lax.max, window, strides, pads)
        return lax.reduce_window(input, 0.0, lax.add, window, strides, pads) / self.kernel**2


@dataclass(frozen=True)
class BatchNorm(Operation):
    """In training: by the batch's own mean and variance."""

    C_in: int
    size: int
    batch: int = 128

    @property
    def name(self):
        return f"batch_norm {self.C_in} @{self.size}×{self.size}"

    def shapes(self):
        C = (self.C_in,)
        images = self.batch, self.C_in, self.size, self.size
        return {"input": images, "mean": C, "var": C, "weight": C, "bias": C}

    @property
    def gradients(self):
        return "input", "weight", "bias"

    @property
    def axes(self):
        return {"input": IMAGES, "output": IMAGES}

    def run(self, lib, input, mean, var, weight, bias):
        return lib.nn.functional.batch_norm(input, mean, var, weight, bias, training=True)

    def run_jax(self, input, mean, var, weight, bias):
        from jax import lax

        batch_mean, batch_var = input.mean((0, 1, 2)), input.var((0, 1, 2))
        n = input.size // self.C_in
        running = 0.9 * mean + 0.1 * batch_mean, 0.9 * var + 0.1 * batch_var * (n / (n - 1))
        scale = lax.rsqrt(batch_var + 1e-5) * weight
        return (input - batch_mean) * scale + bias, *running


@dataclass(frozen=True)
class Attention(Operation):
    """softmax(query @ key^T / sqrt(D)) @ value; kind: "" or "causal" or "masked".

    Masked means that each sequence has a length of its own, and nothing looks beyond its end.
    """

    B: int
    H: int
    T: int
    D: int
    kind: str = ""

    @property
    def name(self):
        return f"attention {self.kind} ({self.B},{self.H},{self.T},{self.D})".replace("  ", " ")

    def shapes(self):
        return dict.fromkeys(("query", "key", "value"), (self.B, self.H, self.T, self.D))

    @property
    def gradients(self):
        return "query", "key", "value"

    def arrays(self):
        arrays = super().arrays()
        if self.kind == "masked":
            lengths = generator(self.name).integers(1, self.T + 1, (self.B, 1, 1, 1))
            arrays["mask"] = np.arange(self.T) < lengths  # (B, 1, 1, T)
        return arrays

    @property
    def axes(self):
        return dict.fromkeys(("query", "key", "value", "output"), HEADS)

    def operations(self):
        pairs = self.T * (self.T + 1) / 2 if self.kind == "causal" else self.T**2
        return 4.0 * self.B * self.H * pairs * self.D

    def backward_operations(self):
        return 2 * self.operations()

    def run(self, lib, query, key, value, mask=None):
        F, causal = lib.nn.functional, self.kind == "causal"
        return F.scaled_dot_product_attention(query, key, value, mask, is_causal=causal)

    def run_jax(self, query, key, value, mask=None):
        from jax import nn

        causal = self.kind == "causal"
        return nn.dot_product_attention(query, key, value, mask=mask, is_causal=causal)


@dataclass(frozen=True)
class Linear(Operation):
    rows: int
    features_in: int
    features_out: int

    @property
    def name(self):
        return f"linear {self.features_in}→{self.features_out}, {self.rows} rows"

    def shapes(self):
        weight = self.features_out, self.features_in
        return {
            "input": (self.rows, self.features_in),
            "weight": weight,
            "bias": (self.features_out,),
        }

    @property
    def axes(self):
        return {"weight": (1, 0)}

    def operations(self):
        return 2.0 * self.rows * self.features_in * self.features_out

    def run(self, lib, input, weight, bias):
        return lib.nn.functional.linear(input, weight, bias)

    def run_jax(self, input, weight, bias):
        return input @ weight + bias


@dataclass(frozen=True)
class LayerNorm(Operation):
    rows: int
    features_in: int

    @property
    def name(self):
        return f"layer_norm {self.rows}×{self.features_in}"

    def shapes(self):
        features = (self.features_in,)
        return {"input": (self.rows, self.features_in), "weight": features, "bias": features}

    def run(self, lib, input, weight, bias):
        return lib.nn.functional.layer_norm(input, (self.features_in,), weight, bias)

    def run_jax(self, input, weight, bias):
        from jax import lax

        centred = input - input.mean(-1, keepdims=True)
        return centred * lax.rsqrt(input.var(-1, keepdims=True) + 1e-5) * weight + bias


@dataclass(frozen=True)
class Activation(Operation):
    """GELU by the error function, or softmax along the rows."""

    kind: str
    rows: int
    features_in: int

    @property
    def name(self):
        return f"{self.kind} {self.rows}×{self.features_in}"

    def shapes(self):
        return {"input": (self.rows, self.features_in)}

    def run(self, lib, input):
        F = lib.nn.functional
        return F.gelu(input) if self.kind == "GELU" else F.softmax(input, dim=-1)

    def run_jax(self, input):
        from jax import nn

        return nn.gelu(input, approximate=False) if self.kind == "GELU" else nn.softmax(input)


@dataclass(frozen=True)
class CrossEntropy(Operation):
    rows: int
    classes: int

    @property
    def name(self):
        return f"cross_entropy {self.rows}×{self.classes}"

    def shapes(self):
        return {"input": (self.rows, self.classes)}

    def arrays(self):
        return super().arrays() | {"target": generator("").integers(0, self.classes, self.rows)}

    def run(self, lib, input, target):
        return lib.nn.functional.cross_entropy(input, target)

    def run_jax(self, input, target):
        from models_jax import cross_entropy

        return cross_entropy(input, target)
