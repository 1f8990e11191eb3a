"""Methods that count values, and that draw at random with the values as probabilities."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from tinyvision.checks import as_int, normalize_dim
from tinyvision.dtypes import float32
from tinyvision.random import Generator, stream
from tinyvision.tensor.base import TensorBase, check_tensor


class Counting(TensorBase):
    """Methods whose results are without gradients: which values, how many, and draws."""

    def unique(
        self,
        sorted: bool = True,
        return_inverse: bool = False,
        return_counts: bool = False,
        dim: int | None = None,
    ) -> Any:
        """The different values, or slices along `dim`, in order.

        return_inverse: also where in the result each value is. return_counts: also how often it
        is there. `sorted=False` allows any order; this one is then as good as any.
        """
        axis = None if dim is None else normalize_dim(dim, self._data.ndim, "unique")
        values, inverse, counts = np.unique(
            self._data, return_inverse=True, return_counts=True, axis=axis, equal_nan=False
        )
        shape = self._data.shape if axis is None else (-1,)
        wanted = [values]
        wanted += [inverse.reshape(shape)] if return_inverse else []
        wanted += [counts] if return_counts else []
        results = tuple([self._plain(array) for array in wanted])
        return results if len(results) > 1 else results[0]

    def bincount(self, weights: Self | None = None, minlength: int = 0) -> Self:
        """How often each of 0, 1, 2, ... is there, or the sum of its weights.

        Raises: RuntimeError unless self is a vector of numbers >= 0, and weights as long;
            NotImplementedError unless they are integers.
        """
        x = self._data
        if x.dtype.kind not in "iu":
            raise NotImplementedError(f"bincount is not implemented for {x.dtype} tensors")
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

    def histc(self, bins: int = 100, min: float = 0, max: float = 0) -> Self:
        """How many values are in each of `bins` intervals of one width from min to max.

        If these are equal, they are those of the values; what is outside is not counted.

        Raises: RuntimeError unless bins > 0 and max >= min, NotImplementedError unless float.
        """
        x, count = self._data.ravel(), as_int(bins, "histc", "bins")
        if x.dtype.kind != "f":
            raise NotImplementedError(f"histc is not implemented for {x.dtype} tensors")
        if count < 1:
            raise RuntimeError(f"histc(): bins must be > 0, but got {count}")
        low, high = float(min), float(max)
        if low == high and x.size:
            low, high = float(x.min()), float(x.max())
        if not np.isfinite([low, high]).all():
            raise RuntimeError(f"histc: range of [{low}, {high}] is not finite")
        if low > high:
            raise RuntimeError("histc: max must be larger than min")
        if low == high:
            low, high = low - 1, high + 1
        inside = x[(x >= low) & (x <= high)]
        places = ((inside - low) * count / (high - low)).astype(np.int64)
        counts = np.bincount(np.minimum(places, count - 1), minlength=count)
        return self._plain(counts.astype(x.dtype))

    def bernoulli(self, *, generator: Generator | None = None) -> Self:
        """1 with the probability that self gives at each place, else 0."""
        p = self._data
        if p.dtype.kind != "f" or not ((p >= 0) & (p <= 1)).all():
            raise RuntimeError("bernoulli: expected probabilities between 0 and 1")
        return self._plain((stream(generator).random(p.shape) < p).astype(p.dtype))

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
