"""Functions on tensors that the package offers as `tv.<name>`.

joining.py has functions of several tensors; the rest spell methods of Tensor as functions.
"""
