"""The autograd engine: what is recorded (op), what is done with it (backward), and when (modes).

Read `op.py` first, then `backward.py`; together they are the whole of reverse-mode
differentiation. Nothing here knows the Tensor class.
"""
