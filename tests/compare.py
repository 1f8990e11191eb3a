"""Comparing a call here with the same call in PyTorch."""

import warnings

import numpy as np


def outcome(call):
    """What a call gives in terms both libraries share: (dtype, shape, values) or the error type.

    Values are rounded to five digits, so that only real differences show.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = call()
        except Exception as error:  # any error is an outcome to compare
            return type(error).__name__
    values = np.asarray(result.detach().numpy())
    dtype = str(result.dtype).removeprefix("torch.")
    rounded = [float(f"{float(v):.5g}") for v in values.ravel()]
    return dtype, tuple(result.shape), str(rounded)
