"""Whether operations are recorded for backward: `no_grad` and its siblings.

The mode belongs to the Python thread; a new thread starts with recording on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ContextDecorator
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


class _ModeContext(ContextDecorator):
    """Sets modes on entry and puts the earlier ones back on exit, also after an exception."""

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


class no_grad(_ModeContext):
    """Context manager or decorator in which nothing is recorded: `with no_grad(): ...`."""

    def __new__(cls, function: Callable | None = None) -> Any:
        # `@no_grad` without parentheses hands the function itself.
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self) -> None:
        super().__init__(grad=False)


class enable_grad(_ModeContext):
    """Context manager or decorator that records again inside a `no_grad` block."""

    def __new__(cls, function: Callable | None = None) -> Any:
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self) -> None:
        super().__init__(grad=True)


class set_grad_enabled(_ModeContext):
    """Switch recording on or off now; used as a context manager, back again at its end."""

    def __init__(self, mode: bool) -> None:
        super().__init__(grad=bool(mode))
        super().__enter__()

    def __enter__(self) -> None:
        pass  # already set when made, as in PyTorch


class inference_mode(_ModeContext):
    """Like `no_grad`, and the tensors made inside can never enter a recorded operation.

    They carry no version counter, so an in-place change to them could not be detected later.
    """

    def __init__(self, mode: bool = True) -> None:
        if not isinstance(mode, bool):
            raise TypeError(f"inference_mode: mode must be a bool, got {type(mode).__name__}")
        super().__init__(**({"grad": False, "inference": True} if mode else {"inference": False}))


class set_detect_anomaly(_ModeContext):
    """Switch anomaly detection on or off now, or for a `with` block; see detect_anomaly."""

    def __init__(self, mode: bool) -> None:
        super().__init__(anomaly=bool(mode))
        super().__enter__()

    def __enter__(self) -> None:
        pass


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
