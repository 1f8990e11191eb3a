"""The networks of `models.py` for JAX, as it likes them: pure functions, channels last.

A network is a function `network(p, x)` of its parameters and a batch of images (N, H, W, C). `p`
knows the parameters by PyTorch's names; where it does not know one yet, it makes it.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from models import NETWORKS, initial

FILTER_TO_JAX = (2, 3, 1, 0)  # (C_out, C_in, kH, kW) -> (kH, kW, C_in, C_out)


class Parameters:
    """Parameters and buffers by name; `buffers` are changed by training batch normalisation."""

    def __init__(self, values: dict[str, Any], buffers: dict[str, Any], train: bool) -> None:
        self.values, self.buffers, self.train = values, buffers, train

    def value(self, name: str, shape: tuple[int, ...], axes: tuple[int, ...] | None = None) -> Any:
        """The parameter of PyTorch's shape, its axes reordered."""
        if name not in self.values:
            array = initial(name, shape)
            self.values[name] = array if axes is None else array.transpose(axes)
        return self.values[name]

    def buffer(self, name: str, shape: tuple[int, ...]) -> Any:
        return self.buffers.setdefault(name, initial(name, shape))


def build(name: str, images: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The initial parameters and buffers of a network."""
    p = Parameters({}, {}, train=False)
    jax.eval_shape(lambda x: FUNCTIONS[name](p, x), images)
    return p.values, p.buffers


def conv(p, name, x, channels, kernel, stride=1, padding=0, bias=True):
    weight = p.value(f"{name}.weight", (channels, x.shape[-1], kernel, kernel), FILTER_TO_JAX)
    pads = [(padding, padding)] * 2
    numbers = ("NHWC", "HWIO", "NHWC")
    y = lax.conv_general_dilated(x, weight, (stride, stride), pads, dimension_numbers=numbers)
    return y + p.value(f"{name}.bias", (channels,)) if bias else y


def linear(p, name, x, features, image=None):
    """x @ weight + bias. `image`: x is a flattened (H, W, C); PyTorch's would be a (C, H, W)."""
    key = f"{name}.weight"
    if key not in p.values:
        weight = initial(key, (features, x.shape[-1]))
        if image is not None:
            H, W, C = image
            # (out, C*H*W) -> (out, C, H, W) -> (out, H, W, C) -> (out, H*W*C)
            weight = weight.reshape(features, C, H, W).transpose(0, 2, 3, 1).reshape(features, -1)
        p.values[key] = np.ascontiguousarray(weight.T)
    return x @ p.values[key] + p.value(f"{name}.bias", (features,))


def batch_norm(p, name, x):
    shape = (x.shape[-1],)
    mean_name, var_name = f"{name}.running_mean", f"{name}.running_var"
    mean, var = p.buffer(mean_name, shape), p.buffer(var_name, shape)
    if p.train:
        n = x.size // x.shape[-1]
        running = mean, var
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        p.buffers[mean_name] = 0.9 * running[0] + 0.1 * mean
        p.buffers[var_name] = 0.9 * running[1] + 0.1 * var * (n / (n - 1))
    weight, bias = p.value(f"{name}.weight", shape), p.value(f"{name}.bias", shape)
    return (x - mean) * (lax.rsqrt(var + 1e-5) * weight) + bias


def layer_norm(p, name, x):
    shape = (x.shape[-1],)
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    weight, bias = p.value(f"{name}.weight", shape), p.value(f"{name}.bias", shape)
    return (x - mean) * lax.rsqrt(var + 1e-5) * weight + bias


def max_pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def lenet(p, x):
    x = max_pool(jax.nn.relu(conv(p, "0", x, 6, 5)))
    x = max_pool(jax.nn.relu(conv(p, "3", x, 16, 5)))
    x = jax.nn.relu(linear(p, "7", x.reshape(len(x), -1), 120, image=x.shape[1:]))
    return linear(p, "11", jax.nn.relu(linear(p, "9", x, 84)), 10)


def mnist_cnn(p, x):
    x = max_pool(jax.nn.relu(conv(p, "0", x, 32, 3, padding=1)))
    x = max_pool(jax.nn.relu(conv(p, "3", x, 64, 3, padding=1)))
    x = jax.nn.relu(linear(p, "7", x.reshape(len(x), -1), 128, image=x.shape[1:]))
    return linear(p, "9", x, 10)


def conv_bn(p, name, x, channels, stride=1, kernel=3):
    x = conv(p, f"{name}.0", x, channels, kernel, stride, padding=kernel // 2, bias=False)
    return batch_norm(p, f"{name}.1", x)


def residual(p, name, x, channels, stride=1):
    y = jax.nn.relu(conv_bn(p, f"{name}.conv1", x, channels, stride))
    y = conv_bn(p, f"{name}.conv2", y, channels)
    if stride != 1 or x.shape[-1] != channels:
        x = conv_bn(p, f"{name}.project", x, channels, stride, kernel=1)
    return jax.nn.relu(y + x)


def resnet20(p, x):
    x = jax.nn.relu(conv_bn(p, "0", x, 16))
    for i in range(9):
        x = residual(p, str(i + 2), x, 16 << (i // 3), stride=2 if i in (3, 6) else 1)
    return linear(p, "13", x.mean((1, 2)), 10)


def resnet9(p, x):
    x = jax.nn.relu(conv_bn(p, "0", x, 64))
    x = residual(p, "5", max_pool(jax.nn.relu(conv_bn(p, "2", x, 128))), 128)
    x = residual(p, "9", max_pool(jax.nn.relu(conv_bn(p, "6", x, 256))), 256)
    return linear(p, "12", x.max((1, 2)), 10)


def encoder_layer(p, name, x):
    N, T, E = x.shape
    qkv = linear(p, f"{name}.attention.qkv", layer_norm(p, f"{name}.norm1", x), 3 * E)
    q, k, v = jnp.moveaxis(qkv.reshape(N, T, 3, 4, E // 4), 2, 0)  # each (N, T, H, E/H)
    y = jax.nn.dot_product_attention(q, k, v).reshape(N, T, E)
    x = x + linear(p, f"{name}.attention.proj", y, E)
    y = linear(p, f"{name}.mlp.0", layer_norm(p, f"{name}.norm2", x), 2 * E)
    return x + linear(p, f"{name}.mlp.2", jax.nn.gelu(y, approximate=False), E)


def vit(p, x, patch, width, depth):
    x = conv(p, "embed", x, width, patch, stride=patch)
    x = x.reshape(len(x), -1, width)  # (N, H, W, E) -> (N, H*W, E)
    cls = jnp.broadcast_to(p.value("cls", (1, 1, width)), (len(x), 1, width))
    x = jnp.concatenate([cls, x], axis=1)
    x = x + p.value("positions", (1, x.shape[1], width))
    for i in range(depth):
        x = encoder_layer(p, f"layers.{i}", x)
    return linear(p, "head", layer_norm(p, "norm", x)[:, 0], 10)


def vit_mnist(p, x):
    return vit(p, x, patch=7, width=64, depth=4)


def vit_cifar(p, x):
    return vit(p, x, patch=4, width=128, depth=6)


FUNCTIONS = dict(
    zip(NETWORKS, (lenet, mnist_cnn, resnet20, resnet9, vit_mnist, vit_cifar), strict=True)
)


def cross_entropy(logits, target):
    log_probabilities = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_probabilities, target[:, None], axis=1).mean()


def optimizer_state(kind: str, values: dict[str, Any]) -> Any:
    """What the optimizer remembers before its first step."""
    zeros = {name: jnp.zeros_like(value) for name, value in values.items()}
    if kind == "SGD":
        return zeros
    return jnp.zeros(()), zeros, {name: jnp.zeros_like(value) for name, value in values.items()}


def optimizer_step(kind: str, values: Any, grads: Any, state: Any) -> tuple[Any, Any]:
    """The parameters and the state after a step of `models.optimizer`."""
    tree_map = jax.tree.map
    if kind == "SGD":
        state = tree_map(lambda p, g, b: 0.9 * b + g + 5e-4 * p, values, grads, state)
        return tree_map(lambda p, b: p - 0.01 * b, values, state), state
    decay = 0.05 if kind == "AdamW" else 0.0
    t, m, v = state
    t = t + 1
    m = tree_map(lambda m, g: m + 0.1 * (g - m), m, grads)
    v = tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    rate, root = 1e-3 / (1 - 0.9**t), jnp.sqrt(1 - 0.999**t)

    def updated(p, m, v):
        return p * (1 - 1e-3 * decay) - rate * m / (jnp.sqrt(v) / root + 1e-8)

    return tree_map(updated, values, m, v), (t, m, v)
