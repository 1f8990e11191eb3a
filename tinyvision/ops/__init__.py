"""Differentiable operations: forward and backward of each, side by side, on plain arrays.

elementwise.py is the place to start: most operations there are one line of a table.
"""
