"""How the rows of the benchmarks become jobs of one library: in the worker's process."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Job:
    """What is measured.

    call: does it once. results: does it for the first time, and gives the arrays by which
    libraries are compared. context: what the calls happen in.
    """

    call: Callable[[], Any]
    results: Callable[[], dict[str, np.ndarray]]
    context: Callable[[], Any] = contextlib.nullcontext
    operations: float | None = None


class TensorLibrary:
    """tinyvision or PyTorch: a row's `tensor_job` is the same code for both.

    lib: the module. compile: turns a function or model into a faster one. fused: an option for
    optimizers. place: how images and models lie in memory.
    """

    def __init__(self, lib: Any, threads: int) -> None:
        self.lib = lib
        lib.set_num_threads(threads)
        self.fused: dict[str, bool] = {}

    def compile(self, function: Callable) -> Callable:
        return function

    def place(self, model_or_images: Any) -> Any:
        return model_or_images

    def optimizer_step(self, make: Callable) -> Callable:
        """The step of the optimizer that `make` makes, in the fastest way there is."""
        return make(**self.fused).step

    def tensor(self, array: np.ndarray) -> Any:
        tensor = self.lib.tensor(array)
        return self.place(tensor) if array.ndim == 4 else tensor

    def job(self, row: Any) -> Job:
        return row.tensor_job(self)

    def reset(self) -> None:
        pass


class PyTorch(TensorLibrary):
    """PyTorch as it is used most, with its fused optimizers."""

    def __init__(self, threads: int) -> None:
        super().__init__(importlib.import_module("torch"), threads)
        self.fused = {"fused": True}


class ChannelsLast(PyTorch):
    """PyTorch with images as (N, H, W, C) in memory, which some of its convolutions prefer."""

    def place(self, model_or_images: Any) -> Any:
        return model_or_images.to(memory_format=self.lib.channels_last)


class Compiled(PyTorch):
    """torch.compile: kernels made for the program, by a C++ compiler."""

    def compile(self, function: Callable) -> Callable:
        return self.lib.compile(function, dynamic=False)

    def optimizer_step(self, make: Callable) -> Callable:
        raise NotImplementedError("its optimizer steps are slower than PyTorch's fused ones")

    def reset(self) -> None:
        self.lib.compiler.reset()


class Jax:
    """JAX with `jit`; a row's `jax_job`."""

    def __init__(self, threads: int) -> None:
        # JAX has no setting for its threads: it starts one per CPU that it may use.
        if hasattr(os, "sched_setaffinity") and threads < len(os.sched_getaffinity(0)):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
        self.jax = importlib.import_module("jax")
        self.jax.devices()  # starts its threads

    def job(self, row: Any) -> Job:
        return row.jax_job()

    def reset(self) -> None:
        self.jax.clear_caches()


def load(side: str, threads: int) -> Any:
    """The library of a side; `numpy` is tinyvision with TINYVISION_KERNELS=reference."""
    if side in ("tinyvision", "numpy"):
        return TensorLibrary(importlib.import_module("tinyvision"), threads)
    if side == "jax":
        return Jax(threads)
    return {"pytorch": PyTorch, "channels_last": ChannelsLast, "compile": Compiled}[side](threads)
