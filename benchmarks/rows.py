"""The rows of the tables: what each library is to do for them, as jobs.

A row has `tensor_job(library)`, the same code for PyTorch and tinyvision, and `jax_job()`.
Forward alone is without recording for backward, as in inference. `tolerance` is how far results
may be apart, in units of the largest of them: above what rounding does, below what an error does.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import models
import numpy as np
from libraries import Job
from workloads import Operation, generator

# Sizes of a smoke run, by the names of fields.
TINY = {"batch": 2, "C_in": 4, "C_out": 4, "groups": 4, "size": 8, "rows": 3, "classes": 5}
TINY |= {"features_in": 6, "features_out": 5, "B": 2, "H": 2, "T": 5, "D": 4, "n": 8}


@dataclass(frozen=True)
class OperationRow:
    """An operation, forward only or forward and backward."""

    operation: Operation
    backward: bool
    quick: bool = False
    tolerance = 1e-4

    @property
    def name(self) -> str:
        return f"{self.operation.name}, {self.group}"

    @property
    def group(self) -> str:
        return "forward+backward" if self.backward else "forward"

    @property
    def family(self) -> str:
        return type(self.operation).__name__

    def tiny(self) -> OperationRow:
        """The same at sizes that take no time."""
        fields = {f.name for f in dataclasses.fields(self.operation)} & TINY.keys()
        sizes = {name: min(getattr(self.operation, name), TINY[name]) for name in fields}
        return dataclasses.replace(self, operation=dataclasses.replace(self.operation, **sizes))

    def count(self) -> float | None:
        """Additions and multiplications, where they are what takes the time."""
        forward = self.operation.operations()
        if forward is None or not self.backward:
            return forward
        return forward + self.operation.backward_operations()

    def tensor_job(self, library: Any) -> Job:
        lib, op = library.lib, self.operation
        tensors = {name: library.tensor(array) for name, array in op.arrays().items()}
        run = library.compile(lambda **inputs: op.run(lib, **inputs))
        if self.backward:
            return self._tensor_backward(library, run, tensors)

        def forward():
            return run(**tensors)

        def results():
            return {"output": np.array(forward())}

        return Job(forward, results, lib.inference_mode, self.count())

    def _tensor_backward(self, library: Any, run: Any, tensors: dict[str, Any]) -> Job:
        wanted = {name: tensors[name].requires_grad_() for name in self.operation.gradients}
        grad_output = library.tensor(_grad_output(tuple(run(**tensors).shape)))

        def forward_backward():
            for tensor in wanted.values():
                tensor.grad = None
            output = run(**tensors)
            output.backward(grad_output)
            return output

        def results():
            output = np.array(forward_backward().detach())
            return {"output": output} | {n: np.array(t.grad) for n, t in wanted.items()}

        return Job(forward_backward, results, operations=self.count())

    def jax_job(self) -> Job:
        import jax

        op, axes = self.operation, self.operation.axes
        arrays = {n: jax.numpy.asarray(_to_jax(a, axes.get(n))) for n, a in op.arrays().items()}
        function = jax.jit(self._jax_backward() if self.backward else op.run_jax)
        if self.backward:
            shape = jax.eval_shape(lambda: _first(op.run_jax(**arrays))).shape
            plain = _from_jax(np.empty(shape), axes.get("output")).shape
            grad_output = _to_jax(_grad_output(plain), axes.get("output"))
            arrays["grad_output"] = jax.numpy.asarray(grad_output)

        def call():
            return jax.block_until_ready(function(**arrays))

        def results():
            outputs, grads = call() if self.backward else (call(), {})
            found = {"output": _first(outputs), **grads}
            return {n: _from_jax(a, axes.get(n)) for n, a in found.items()}

        return Job(call, results, operations=self.count())

    def _jax_backward(self) -> Any:
        import jax

        op = self.operation

        def forward_backward(grad_output, **arrays):
            wanted = {name: arrays.pop(name) for name in op.gradients}

            def forward(wanted):
                outputs = op.run_jax(**wanted, **arrays)
                return _first(outputs), outputs

            _, pull, outputs = jax.vjp(forward, wanted, has_aux=True)
            return outputs, pull(grad_output)[0]

        return forward_backward


@dataclass(frozen=True)
class PeakRow(OperationRow):
    """What the others are compared with: no row of the table's means."""

    @property
    def name(self) -> str:
        return f"{self.operation.name} (the peak)"

    @property
    def group(self) -> str:
        return "peak"


def _first(outputs: Any) -> Any:
    """The output, of an operation that may have others beside it."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


def _grad_output(shape: tuple[int, ...]) -> np.ndarray:
    """What backward starts from: random numbers, but 1 for a loss."""
    if shape == ():
        return np.ones((), np.float32)
    return generator("grad_output").standard_normal(shape, np.float32)


def _to_jax(array: np.ndarray, axes: tuple[int, ...] | None) -> np.ndarray:
    return array if axes is None else np.ascontiguousarray(array.transpose(axes))


def _from_jax(array: Any, axes: tuple[int, ...] | None) -> np.ndarray:
    return np.asarray(array) if axes is None else np.asarray(array).transpose(np.argsort(axes))


@dataclass(frozen=True)
class OptimizerRow:
    """One step of an optimizer, for parameters of these shapes."""

    kind: str
    network: str
    shapes: tuple[tuple[int, ...], ...]
    quick: bool = False
    group = "step"
    family = "Optimizer"
    tolerance = 1e-3

    @property
    def name(self) -> str:
        numbers = sum(math.prod(shape) for shape in self.shapes)
        tensors = len(self.shapes)
        return f"{self.kind} step, {self.network}: {numbers:,} parameters in {tensors} tensors"

    def tiny(self) -> OptimizerRow:
        return self  # small enough

    def _arrays(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Parameters, small as they are in networks, and their gradients."""
        random = generator(self.kind)
        values = [random.standard_normal(shape, np.float32) / 50 for shape in self.shapes]
        return values, [random.standard_normal(shape, np.float32) for shape in self.shapes]

    def tensor_job(self, library: Any) -> Job:
        lib = library.lib
        values, grads = self._arrays()
        params = [lib.nn.Parameter(lib.tensor(value)) for value in values]
        for param, grad in zip(params, grads, strict=True):
            param.grad = lib.tensor(grad)
        step = library.optimizer_step(
            lambda **fused: models.optimizer(lib, self.kind, params, **fused)
        )

        def results():
            step()
            return _changes(values, [param.detach() for param in params])

        return Job(step, results)

    def jax_job(self) -> Job:
        import jax
        from models_jax import optimizer_state, optimizer_step

        values, grads = self._arrays()
        params = dict(enumerate(map(jax.numpy.asarray, values)))
        gradients = dict(enumerate(map(jax.numpy.asarray, grads)))
        state = [params, optimizer_state(self.kind, params)]
        update = jax.jit(lambda p, g, s: optimizer_step(self.kind, p, g, s), donate_argnums=(0, 2))

        def step():
            state[:] = jax.block_until_ready(update(state[0], gradients, state[1]))

        def results():
            step()
            return _changes(values, list(state[0].values()))

        return Job(step, results)


def _changes(before: list[np.ndarray], after: list[Any]) -> dict[str, np.ndarray]:
    """By how much each parameter has changed."""
    pairs = enumerate(zip(before, after, strict=True))
    return {f"parameter {i}": np.array(new) - old for i, (old, new) in pairs}


@dataclass(frozen=True)
class StepRow:
    """A whole training step (zero_grad, forward, loss, backward, optimizer) or inference."""

    network: str
    batch: int
    train: bool
    quick: bool = False
    tolerance = 1e-3

    @property
    def name(self) -> str:
        return f"{self.network} N={self.batch}, {self.group}"

    @property
    def group(self) -> str:
        return "train step" if self.train else "inference"

    @property
    def family(self) -> str:
        return self.network

    def tiny(self) -> StepRow:
        return dataclasses.replace(self, batch=1)

    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels."""
        random = generator("images")
        shape = self.batch, *models.NETWORKS[self.network].image
        return random.standard_normal(shape, np.float32), random.integers(0, 10, self.batch)

    def tensor_job(self, library: Any) -> Job:
        lib = library.lib
        images, labels = map(library.tensor, self._arrays())
        model = models.NETWORKS[self.network].build(lib)
        models.initialise(lib, model)
        model = library.place(model).train(self.train)
        with lib.no_grad():
            operations = models.count_operations(lib, model, images)[self.train]
        models.initialise(lib, model)  # counting has moved the running means
        if self.train:
            return self._tensor_train(library, model, images, labels, operations)
        run = library.compile(model)

        def infer():
            return run(images)

        def results():
            return {"logits": np.array(infer())}

        return Job(infer, results, lib.inference_mode, operations)

    def _tensor_train(
        self, library: Any, model: Any, images: Any, labels: Any, count: float
    ) -> Job:
        lib = library.lib
        kind = models.NETWORKS[self.network].optimizer
        optimizer = models.optimizer(lib, kind, model.parameters(), **library.fused)
        cross_entropy = lib.nn.functional.cross_entropy
        loss_of = library.compile(lambda x, target: cross_entropy(model(x), target))

        def step():
            optimizer.zero_grad()
            loss = loss_of(images, labels)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return Job(step, lambda: _losses(step), operations=count)

    def jax_job(self) -> Job:
        import jax
        from models_jax import build

        images, labels = self._arrays()
        images = jax.numpy.asarray(images.transpose(0, 2, 3, 1))
        values, buffers = jax.tree.map(jax.numpy.asarray, build(self.network, images))
        if self.train:
            return self._jax_train(values, buffers, images, jax.numpy.asarray(labels))
        infer = jax.jit(self._jax_function())

        def call():
            return jax.block_until_ready(infer(values, buffers, images)[0])

        return Job(call, lambda: {"logits": np.asarray(call())})

    def _jax_function(self) -> Any:
        from models_jax import FUNCTIONS, Parameters

        def apply(values, buffers, images):
            p = Parameters(values, dict(buffers), self.train)
            return FUNCTIONS[self.network](p, images), p.buffers

        return apply

    def _jax_train(self, values: Any, buffers: Any, images: Any, labels: Any) -> Job:
        import jax
        from models_jax import cross_entropy, optimizer_state, optimizer_step

        kind, apply = models.NETWORKS[self.network].optimizer, self._jax_function()

        def loss_of(values, buffers):
            logits, buffers = apply(values, buffers, images)
            return cross_entropy(logits, labels), buffers

        def update(values, buffers, memory):
            (loss, buffers), grads = jax.value_and_grad(loss_of, has_aux=True)(values, buffers)
            values, memory = optimizer_step(kind, values, grads, memory)
            return loss, (values, buffers, memory)

        compiled = jax.jit(update, donate_argnums=(0, 1, 2))
        state = [(values, buffers, optimizer_state(kind, values))]

        def step():
            loss, state[0] = jax.block_until_ready(compiled(*state[0]))
            return loss

        return Job(step, lambda: _losses(step))


def _losses(step: Any) -> dict[str, np.ndarray]:
    """The losses of the first three steps: the third tells whether the second went right."""
    return {"losses": np.array([float(step()) for _ in range(3)], np.float32)}
