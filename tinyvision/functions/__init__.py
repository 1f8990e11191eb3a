"""Functions on tensors that the package offers as `tv.<name>`.

joining.py has those that are not methods too, most of them of several tensors; the rest spell
methods of Tensor as functions.
"""
