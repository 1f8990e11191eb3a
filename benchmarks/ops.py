"""Single operations: forward, and forward with backward.

    python benchmarks/ops.py --quick

Writes a table, the figures as JSON and a chart to out/benchmarks. README.md says how to read them.
"""

import contest
from command import options, selected
from tables import OPS

SIDES = ("tinyvision", "pytorch", "compile", "jax", "numpy")


def main() -> None:
    args = options(__doc__, SIDES).parse_args()
    contest.run("ops", selected(OPS, args), args)


if __name__ == "__main__":
    main()
