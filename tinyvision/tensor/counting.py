"""Methods that count values, and that draw at random with the values as probabilities."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from tinyvision.checks import as_int, normalize_dim
from tinyvision.dtypes import float32, require_kind
from tinyvision.ops.shape import Unique
from tinyvision.random import Generator, stream
from tinyvision.tensor.base import TensorBase, check_tensor


class Counting(TensorBase):
    """Methods whose results are without gradients: which values, how many, and draws."""

    def unique(
        self, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
        dim: int | None = None,
    ) -> Any:  # fmt: skip
        """The different values, or slices along `dim`, in order.

        return_inverse: also where in the result each value is. return_counts: also how often it
        is there. `sorted=False` allows any order; this one is then as good as any.
        """
        axis = None if dim is None else normalize_dim(dim, self._data.ndim, "unique")
        values, inverse, counts = np.unique(
            self._data, return_inverse=True, return_counts=True, axis=axis, equal_nan=False
        )
        shape = self._data.shape if axis is None else (-1,)
        results = [Unique.apply(self, values=values)]
        results += [self._plain(inverse.reshape(shape))] if return_inverse else []
        results += [self._plain(counts)] if return_counts else []
        return tuple(results) if len(results) > 1 else results[0]

    def bincount(self, weights: Self | None = None, minlength: int = 0) -> Self:
        """How often each of 0, 1, 2, ... is there, or the sum of its weights.

        Raises: RuntimeError unless self is a vector of numbers >= 0, and weights as long;
            NotImplementedError unless they are integers.
        """
        x = self._data
        require_kind("bincount", x.dtype, "iu")
        if as_int(minlength, "bincount", "minlength") < 0:
            raise RuntimeError("minlength should be >= 0")
        if x.ndim != 1 or (x.size > 0 and x.min() < 0):
            raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
        if weights is None:
            return self._plain(np.bincount(x, minlength=minlength))
        if check_tensor("bincount", "weights", weights)._data.shape != x.shape:
            raise RuntimeError("weights should be 1-d and have the same length as input")
        sums = np.bincount(x, weights._data, minlength)
        return self._plain(sums.astype(float32) if weights._data.dtype == float32 else sums)

    def bernoulli(self, p: float | None = None, *, generator: Generator | None = None) -> Self:
        """1 with probability p or, by default, that which self gives at each place, else 0."""
        if p is None:
            require_kind("bernoulli", self._data.dtype, "f")
        chances = self if p is None else p
        return self._plain(self._data.copy()).bernoulli_(chances, generator=generator)

    def multinomial(
        self, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
    ) -> Self:
        """Draws of the numbers 0, 1, ... with probabilities proportional to each row of self.

        Without replacement no number is drawn twice; those with probability 0 come last.

        Shapes: self (n,) or (rows, n), result (num_samples,) or (rows, num_samples).
        Raises: RuntimeError for weights that are no probabilities, or too many draws.
        """
        p, n = self._data, as_int(num_samples, "multinomial", "num_samples")
        if p.ndim not in (1, 2):
            raise RuntimeError("prob_dist must be 1 or 2 dim")
        if p.dtype.kind != "f":
            raise RuntimeError("multinomial only supports floating-point dtypes for input")
        if n < 1:
            raise RuntimeError("cannot sample n_sample <= 0 samples")
        if not replacement and n > p.shape[-1]:
            raise RuntimeError(
                "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
            )
        if not (np.isfinite(p) & (p >= 0)).all():
            raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
        if (p.sum(axis=-1) <= 0).any():
            raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
        rows, random = np.atleast_2d(p).astype(np.float64), stream(generator)
        if replacement:  # where a uniform number falls among the running sums
            sums = rows.cumsum(axis=1)
            draws = random.random((len(rows), n)) * sums[:, -1:]
            picks = [np.searchsorted(s, u, side="right") for s, u in zip(sums, draws, strict=True)]
        else:
            # Of exponential waiting times with rates p, the first is that of i with probability
            # p[i], and so is the next among the rest.
            with np.errstate(divide="ignore"):
                times = random.standard_exponential(rows.shape) / rows
            picks = list(np.argsort(times, axis=1, kind="stable")[:, :n])
        return self._plain(np.array(picks, np.int64).reshape(*p.shape[:-1], n))
