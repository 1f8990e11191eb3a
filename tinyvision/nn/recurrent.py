"""Recurrent layers: a state that is carried along a sequence, and changed by every element of it.

Each step takes the projections of its input, made for the whole sequence in one product, and the
state. The *Cell layers are a single step.

Sources: Elman 1990, "Finding Structure in Time"; Hochreiter and Schmidhuber 1997, "Long Short-Term
Memory", Neural Computation 9(8), with the forget gate of Gers et al. 2000; Cho et al. 2014, arXiv
1406.1078, with the reset gate behind the product, as cuDNN and PyTorch have it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import tinyvision.nn.functional as F
from tinyvision.checks import as_int
from tinyvision.creation import zeros
from tinyvision.dtypes import TORCH_NAMES
from tinyvision.functions.joining import cat, stack
from tinyvision.nn import init
from tinyvision.nn.functional.arguments import check_bool
from tinyvision.nn.module import Module
from tinyvision.nn.parameter import new_parameter
from tinyvision.tensor import Tensor

State = tuple[Tensor, ...]  # h, or h and c, each (N, hidden_size)


def tanh_step(x: Tensor, state: State, W_hh: Tensor, b_hh: Tensor | None) -> State:
    """h = tanh(x + W_hh h + b_hh)."""
    return ((x + F.linear(state[0], W_hh, b_hh)).tanh(),)


def relu_step(x: Tensor, state: State, W_hh: Tensor, b_hh: Tensor | None) -> State:
    """h = max(x + W_hh h + b_hh, 0)."""
    return ((x + F.linear(state[0], W_hh, b_hh)).relu(),)


def lstm_step(x: Tensor, state: State, W_hh: Tensor, b_hh: Tensor | None) -> State:
    """c = f * c + i * g, h = o * tanh(c): a memory c with gates for forgetting, input and output.

    i, f, o = sigmoid and g = tanh of their quarters of x + W_hh h + b_hh, in the order i, f, g, o.
    """
    h, c = state
    i, f, g, o = (x + F.linear(h, W_hh, b_hh)).chunk(4, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_step(x: Tensor, state: State, W_hh: Tensor, b_hh: Tensor | None) -> State:
    """h = (1 - z) * n + z * h, n = tanh(x_n + r * (W_hn h + b_hn)).

    r, z = sigmoid of their thirds of x + W_hh h + b_hh, in the order r, z, n.
    """
    (h,) = state
    x_r, x_z, x_n = x.chunk(3, dim=1)
    h_r, h_z, h_n = F.linear(h, W_hh, b_hh).chunk(3, dim=1)
    r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
    n = (x_n + r * h_n).tanh()
    return (n + z * (h - n),)


# By mode: the step, how many rows of W_ih and W_hh there are for each of h, and parts of the state.
_STEPS: dict[str, tuple[Callable[..., State], int, int]] = {
    "RNN_TANH": (tanh_step, 1, 1),
    "RNN_RELU": (relu_step, 1, 1),
    "LSTM": (lstm_step, 4, 2),
    "GRU": (gru_step, 3, 1),
}


class _Recurrent(Module):
    """What layers and cells have in common: parameters on +-1/sqrt(hidden_size), and the step."""

    mode: str

    def __init__(self, input_size: int, hidden_size: int, bias: bool) -> None:
        super().__init__()
        name = type(self).__name__
        self.input_size = as_int(input_size, name, "input_size")
        self.hidden_size = as_int(hidden_size, name, "hidden_size")
        if self.hidden_size <= 0:
            raise ValueError("hidden_size must be greater than zero")
        self.bias = bias
        _, self._gates, self._state_parts = _STEPS[self.mode]

    def _add_parameters(self, suffix: str, input_size: int, device: Any, dtype: Any) -> None:
        rows, options = self._gates * self.hidden_size, {"device": device, "dtype": dtype}
        self.register_parameter(f"weight_ih{suffix}", new_parameter(rows, input_size, **options))
        hidden = new_parameter(rows, self.hidden_size, **options)
        self.register_parameter(f"weight_hh{suffix}", hidden)
        for name in ("bias_ih", "bias_hh"):
            parameter = new_parameter(rows, **options) if self.bias else None
            self.register_parameter(f"{name}{suffix}", parameter)

    def reset_parameters(self) -> None:
        """Draw all parameters from the uniform distribution on +-1/sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Put all weights in one piece of memory, as a library for other devices wants it."""

    def _parameters_of(self, suffix: str) -> list[Any]:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [getattr(self, name + suffix) for name in names]


def _check_shapes(name: str, state: State, shape: tuple[int, ...]) -> None:
    for i, part in enumerate(state):
        if part.shape != shape:
            raise RuntimeError(f"{name}: expected hidden[{i}] size {shape}, got {part.shape}")


class _RNNBase(_Recurrent):
    """Runs a step along sequences, in layers and, if bidirectional, from both ends.

    dropout: of what a layer hands to the next, in training.
    Shapes: input (L, N, input_size), with batch_first (N, L, input_size), without a batch
    (L, input_size); output like it with D * hidden_size, D being 2 if bidirectional, else 1; the
    state, at first zeros and in the end what is returned: (D * num_layers, N, hidden_size).
    Raises: RuntimeError or ValueError, as PyTorch, for what does not fit.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        if proj_size != 0:
            raise NotImplementedError(f"{type(self).__name__}: proj_size is not supported")
        name = type(self).__name__
        check_bool(name, "bias", bias)
        check_bool(name, "batch_first", batch_first)
        check_bool(name, "bidirectional", bidirectional)
        self.num_layers = as_int(num_layers, name, "num_layers")
        for size in ("input_size", "num_layers"):
            if getattr(self, size) <= 0:
                raise ValueError(f"{size} must be greater than zero")
        _check_dropout(dropout, self.num_layers)
        self.dropout = float(dropout)
        self.batch_first, self.bidirectional = batch_first, bidirectional
        for layer in range(num_layers):
            suffixes = self._suffixes(layer)
            width = input_size if layer == 0 else len(suffixes) * hidden_size
            for suffix in suffixes:
                self._add_parameters(suffix, width, device, dtype)
        self.reset_parameters()

    def _suffixes(self, layer: int) -> list[str]:
        """The ends of the parameters' names, one for each direction."""
        return [f"_l{layer}", f"_l{layer}_reverse"][: 2 if self.bidirectional else 1]

    def forward(self, input: Tensor, hx: Any = None) -> tuple[Tensor, Any]:
        """Returns (output, h_n); for an LSTM, whose hx is (h_0, c_0), (output, (h_n, c_n))."""
        if self._state_parts > 1:
            return self._run(input, None if hx is None else tuple(hx))
        output, (h,) = self._run(input, None if hx is None else (hx,))
        return output, h

    def _run(self, input: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Returns (output, the parts of the last state)."""
        unbatched = self._check_input(input)
        batch = 0 if self.batch_first and not unbatched else 1
        x = input.unsqueeze(1) if unbatched else input
        x = x.transpose(0, 1) if batch == 0 else x  # (L, N, input_size)
        first = self._first_state(x, state, unbatched)
        last: list[State] = []
        for layer in range(self.num_layers):
            if layer > 0:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for suffix in self._suffixes(layer):
                parts = tuple(part[len(last)] for part in first)
                output, parts = self._run_along(x, parts, suffix)
                outputs.append(output)
                last.append(parts)
            x = outputs[0] if len(outputs) == 1 else cat(outputs, dim=2)
        x = x.squeeze(1) if unbatched else x.transpose(0, 1) if batch == 0 else x
        joined = [stack(part) for part in zip(*last, strict=True)]
        return x, tuple(part.squeeze(1) if unbatched else part for part in joined)

    def _run_along(self, x: Tensor, state: State, suffix: str) -> tuple[Tensor, State]:
        """One layer in one direction: (L, N, width) -> (L, N, hidden_size), and the last state."""
        W_ih, W_hh, b_ih, b_hh = self._parameters_of(suffix)
        step, *_ = _STEPS[self.mode]
        projections = F.linear(x, W_ih, b_ih).unbind(0)  # L times (N, gates * hidden_size)
        backwards = suffix.endswith("reverse")
        outputs = []
        for projection in reversed(projections) if backwards else projections:
            state = step(projection, state, W_hh, b_hh)
            outputs.append(state[0])
        return stack(outputs[::-1] if backwards else outputs), state

    def _check_input(self, input: Tensor) -> bool:
        """Whether there is no batch."""
        if input.ndim not in (2, 3):
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.ndim}D instead"
            )
        own = self.weight_ih_l0.dtype
        if input.dtype != own:
            raise ValueError(
                f"{type(self).__name__} input dtype ({TORCH_NAMES[input.dtype]}) does not match "
                f"weight dtype ({TORCH_NAMES[own]})"
            )
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{type(self).__name__}: input.size(-1) must be equal to input_size. Expected "
                f"{self.input_size}, got {input.shape[-1]}"
            )
        if input.shape[1 if self.batch_first and input.ndim == 3 else 0] == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        return input.ndim == 2

    def _first_state(self, x: Tensor, state: State | None, unbatched: bool) -> State:
        rows = self.num_layers * (2 if self.bidirectional else 1)
        shape = (rows, x.shape[1], self.hidden_size)
        if state is None:
            return (zeros(*shape, dtype=x.dtype),) * self._state_parts
        if unbatched:
            if any(part.ndim != 2 for part in state):
                raise RuntimeError(
                    f"{type(self).__name__}: for unbatched 2-D input the state should be 2-D too, "
                    f"but has shapes {[part.shape for part in state]}"
                )
            state = tuple(part.unsqueeze(1) for part in state)
        _check_shapes(type(self).__name__, state, shape)
        return state

    def extra_repr(self) -> str:
        usual = {"bias": True, "batch_first": False, "dropout": 0, "bidirectional": False}
        unusual = self._unusual({"num_layers": 1, **usual})
        return f"{self.input_size}, {self.hidden_size}{unusual}"


def _check_dropout(dropout: Any, num_layers: int) -> None:
    is_number = isinstance(dropout, (int, float)) and not isinstance(dropout, bool)
    if not is_number or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an "
            "element being zeroed"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout is between layers, so that it does nothing with num_layers=1", stacklevel=4
        )


class RNN(_RNNBase):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh); nonlinearity="relu" instead of tanh."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity {nonlinearity!r}. Select from 'tanh' or 'relu'."
            )
        self.mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            device=device, dtype=dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity


class GRU(_RNNBase):
    """Gated recurrent units: h_t lies between h_(t-1) and a new value. See gru_step."""

    mode = "GRU"


class LSTM(_RNNBase):
    """Long short-term memory: the state is h and a memory c. See lstm_step."""

    mode = "LSTM"


class _Cell(_Recurrent):
    """One step. Shapes: input (N, input_size), the state's parts (N, hidden_size); N may miss."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias)
        self._add_parameters("", input_size, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """The next state."""
        if self._state_parts > 1:
            return self._run(input, None if hx is None else tuple(hx))
        return self._run(input, None if hx is None else (hx,))[0]

    def _run(self, input: Tensor, state: State | None) -> State:
        name = type(self).__name__
        if input.ndim not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{name}: input has inconsistent input_size: got {input.shape[-1]}, expected "
                f"{self.input_size}"
            )
        shape = (*input.shape[:-1], self.hidden_size)
        if state is None:
            state = (zeros(*shape, dtype=input.dtype),) * self._state_parts
        _check_shapes(name, state, shape)
        W_ih, W_hh, b_ih, b_hh = self._parameters_of("")
        step, *_ = _STEPS[self.mode]
        if input.ndim == 2:
            return step(F.linear(input, W_ih, b_ih), state, W_hh, b_hh)
        state = tuple(part.unsqueeze(0) for part in state)
        x = F.linear(input.unsqueeze(0), W_ih, b_ih)
        return tuple(part.squeeze(0) for part in step(x, state, W_hh, b_hh))

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}{self._unusual({'bias': True})}"


class RNNCell(_Cell):
    """h = tanh(W_ih x + b_ih + W_hh h + b_hh); nonlinearity="relu" instead of tanh."""

    mode = "RNN_TANH"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        self.mode = f"RNN_{self.nonlinearity.upper()}"
        return super().forward(input, hx)

    def extra_repr(self) -> str:
        return super().extra_repr() + self._unusual({"nonlinearity": "tanh"})


class GRUCell(_Cell):
    """A step of GRU. See gru_step."""

    mode = "GRU"


class LSTMCell(_Cell):
    """A step of LSTM; hx and the result are (h, c). See lstm_step."""

    mode = "LSTM"
