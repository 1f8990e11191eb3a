"""Whether operations are recorded for backward: `no_grad` and its siblings.

The mode belongs to the Python thread; a new thread starts with recording on.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Generator
from typing import Any


class _Modes(threading.local):
    """The mode of each thread; class attributes are what a new thread starts with."""

    grad = True
    inference = False
    anomaly = False


modes = _Modes()


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return modes.grad


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode`."""
    return modes.inference


class _ModeContext:
    """Sets modes on entry and puts the earlier ones back on exit, also after an exception.

    As a decorator it does so around every call, or, of a generator, whenever its body runs.
    """

    def __init__(self, **wanted: bool) -> None:
        self._wanted = wanted
        self._earlier: list[dict[str, bool]] = []  # a stack: one object may be entered twice

    def __enter__(self) -> None:
        self._earlier.append({name: getattr(modes, name) for name in self._wanted})
        self._set(self._wanted)

    def __exit__(self, *exc_info: object) -> None:
        self._set(self._earlier.pop())

    def _set(self, values: dict[str, bool]) -> None:
        for name, value in values.items():
            setattr(modes, name, value)

    def __call__(self, function: Any) -> Any:
        # A context for each call: calls in several threads must not share a stack.
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with _ModeContext(**self._wanted):
                return function(*args, **kwargs)

        @functools.wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            return (yield from _GeneratorInside(_ModeContext(**self._wanted), generator))

        return generate if inspect.isgeneratorfunction(function) else call


class _GeneratorInside(Generator):
    """A generator whose body runs in a context, which its caller does not see between items."""

    def __init__(self, context: _ModeContext, generator: Generator) -> None:
        self._context, self._generator = context, generator

    def send(self, value: Any) -> Any:
        with self._context:
            return self._generator.send(value)

    def throw(self, *error: Any) -> Any:
        with self._context:
            return self._generator.throw(*error)


class _PlainDecorator(_ModeContext):
    """A context that decorates without parentheses too."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        # `@no_grad` hands over the function itself.
        return cls()(args[0]) if args and callable(args[0]) else super().__new__(cls)


class no_grad(_PlainDecorator):
    """Context manager or decorator in which nothing is recorded: `with no_grad(): ...`."""

    def __init__(self) -> None:
        super().__init__(grad=False)


class enable_grad(_PlainDecorator):
    """Context manager or decorator that records again inside a `no_grad` block."""

    def __init__(self) -> None:
        super().__init__(grad=True)


class inference_mode(_PlainDecorator):
    """Like `no_grad`, and the tensors made inside can never enter a recorded operation.

    They carry no version counter, so an in-place change to them could not be detected later.
    mode: False for the opposite, recording, whatever the mode around it.
    """

    def __init__(self, mode: bool = True) -> None:
        if not isinstance(mode, bool):
            raise TypeError(f"inference_mode: mode must be a bool, got {type(mode).__name__}")
        super().__init__(grad=not mode, inference=mode)


class _ModeSwitch(_ModeContext):
    """Sets modes at once; a `with` block puts back, at its end, those from before that."""

    def __init__(self, **wanted: bool) -> None:
        super().__init__(**wanted)
        super().__enter__()

    def __enter__(self) -> None:
        self._set(self._wanted)

    def __exit__(self, *exc_info: object) -> None:
        self._set(self._earlier[0])

    def __call__(self, function: Any) -> Any:
        self.__exit__()  # a decorator sets nothing outside the function
        return super().__call__(function)


class set_grad_enabled(_ModeSwitch):
    """Switch recording on or off now; used as a context manager, back again at its end."""

    def __init__(self, mode: bool) -> None:
        super().__init__(grad=bool(mode))


class set_detect_anomaly(_ModeSwitch):
    """Switch anomaly detection on or off now, or for a `with` block; see detect_anomaly."""

    def __init__(self, mode: bool) -> None:
        super().__init__(anomaly=bool(mode))


class detect_anomaly(_ModeContext):
    """Find the operation whose gradient is the first to be NaN.

    Inside, every operation remembers where it was called, and a backward pass stops with a
    RuntimeError at the first NaN a backward function returns, naming that place. Slow: for
    debugging only.
    """

    def __init__(self, check_nan: bool = True) -> None:
        if check_nan is not True:
            raise NotImplementedError("detect_anomaly: check_nan=False is not supported")
        super().__init__(anomaly=True)
