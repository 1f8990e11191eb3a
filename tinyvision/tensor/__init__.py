"""Class Tensor, in one file per topic.

base.py has its state; gradients.py its autograd side; arithmetic, comparison, pointwise,
reductions, counting, shaping, indexing, linalg, compositions and inplace its methods; tensor.py
puts them together.
"""

from tinyvision.tensor.tensor import Size, Tensor
