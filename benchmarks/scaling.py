"""What more threads are worth, and how time grows with the batch, the channels and the tokens.

    python benchmarks/scaling.py --quick

Measured as in ops.py and steps.py; for the threads, each library runs in one process per number
of threads, and all of them take turns.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import charts
import report
from command import options, plan_of, selected
from contest import Contest, measure_all
from harness import Row
from sides import TITLES
from tables import BATCHES, CHANNELS, THREADS, TOKENS

SIDES = ("tinyvision", "pytorch", "compile", "jax")
SWEEPS = {  # (title, what is varied) -> rows by its value
    ("LeNet, train step", "batch"): BATCHES,
    ("conv 3×3, 16×16, N=32, forward + backward", "channels in and out"): CHANNELS,
    ("attention (4, 4, T, 32), forward + backward", "T"): TOKENS,
}


def with_threads(args: argparse.Namespace) -> list[Row]:
    """Rows whose sides are called "tinyvision 1", "tinyvision 2" and so on."""
    counts = (1, args.threads)
    sides = {f"{side} {n}": (side, n) for side in args.sides for n in counts}
    if args.threads == 1:
        print("--threads 1: nothing to compare", file=sys.stderr)
        return []
    with Contest(sides, args.smoke) as contest:
        return measure_all(contest, selected(THREADS, args), plan_of(args))


def speedups(rows: list[Row], args: argparse.Namespace) -> str:
    """A table of the times with one thread and with all, and of their ratio, per side."""
    n = args.threads
    head = [""]
    for side in args.sides:
        head += [f"{TITLES[side]}, 1 thread, ms", f"{n} threads, ms", "ratio"]
    lines = [head]
    for row in rows:
        cells = [row.name]
        for side in args.sides:
            one, many = f"{side} 1", f"{side} {n}"
            ratio = row.ratio(one, base=many)
            cells += [report.cell(row.results.get(title)) for title in (one, many)]
            cells.append("-" if ratio is None else f"**{ratio:.2f}**")
        lines.append(cells)
    return report.markdown(lines)


def sweep(args: argparse.Namespace, info: dict[str, Any]) -> list[list[Row]]:
    """The rows of each sweep."""
    with Contest({side: (side, args.threads) for side in args.sides}, args.smoke) as contest:
        info["keeps freed memory"] = contest.keeps_memory
        return [
            measure_all(contest, selected(by_value.values(), args), plan_of(args))
            for by_value in SWEEPS.values()
        ]


def main() -> None:
    args = options(__doc__, SIDES).parse_args()
    args.threads = min(args.threads, os.cpu_count())
    if args.quick:
        args.sides = [side for side in args.sides if side in ("tinyvision", "pytorch")]
    info = report.machine()
    threads, sweeps = with_threads(args), sweep(args, info)
    write(threads, sweeps, args, info)
    sys.exit(any(row.failed for rows in [threads, *sweeps] for row in rows))


def write(threads: list[Row], sweeps: list[list[Row]], args: Any, info: dict[str, Any]) -> None:
    """All files."""
    parts = ["# scaling", report.setting(args, info), report.METHOD]
    parts += ["## Threads", speedups(threads, args)]
    for (title, varied), rows in zip(SWEEPS, sweeps, strict=True):
        parts += [f"## {title}, by {varied}", report.table(rows, args.sides)]
    every = [*threads, *(row for rows in sweeps for row in rows)]
    parts.append(report.reasons({row.name: row.reasons for row in every}))
    content = {"machine": info, "settings": report.settings(args)}
    content["rows"] = [row.as_json() for row in every]
    report.save("scaling", "\n\n".join(parts), content, args.output)
    drawn = []
    for by_value, rows in zip(SWEEPS.values(), sweeps, strict=True):
        medians = {r.name: {s: m.median for s, m in r.results.items()} for r in rows}
        drawn.append(report.curves({v: medians.get(r.name, {}) for v, r in by_value.items()}, 1e-3))
    titles = [(title, varied, "ms") for title, varied in SWEEPS]
    charts.curves(args.output / "scaling.png", titles, drawn)
    print(f"\n{speedups(threads, args)}\n\nwrote {args.output}/scaling.md, .json and .png")


if __name__ == "__main__":
    main()
