"""Whole training steps, and inference, of small networks.

    python benchmarks/steps.py --quick

A training step is zero_grad, forward, cross-entropy, backward and the optimizer. Writes a table,
the figures as JSON and a chart to out/benchmarks. README.md says how to read them.
"""

import contest
from command import options, selected
from tables import STEPS

SIDES = ("tinyvision", "pytorch", "channels_last", "compile", "jax", "numpy")


def main() -> None:
    args = options(__doc__, SIDES).parse_args()
    contest.run("steps", selected(STEPS, args), args)


if __name__ == "__main__":
    main()
