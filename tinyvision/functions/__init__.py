"""Functions on tensors that the package offers as `tv.<name>`.

joining.py and matrices.py have those that are not methods too, most of them of several tensors; the
rest spell methods of Tensor as functions.
"""
