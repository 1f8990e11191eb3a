"""The command line that all benchmarks share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness import Plan
from sides import TITLES


def options(description: str | None, sides: tuple[str, ...]) -> argparse.ArgumentParser:
    """Options; `sides` are those that the benchmark can measure."""

    def listed(text: str) -> list[str]:
        wanted = {"tinyvision", *text.split(",")}
        if not wanted <= TITLES.keys():
            raise argparse.ArgumentTypeError(f"{text}: the sides are {','.join(TITLES)}")
        return [side for side in sides if side in wanted]

    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        description=description, formatter_class=as_written, allow_abbrev=False
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="a selection of rows and sides, and fewer rounds")
    add("--smoke", action="store_true", help="tiny sizes: shows that all of it runs, not how fast")
    add("--threads", type=int, default=os.cpu_count(), help="of each library (default: all CPUs)")
    every = ",".join(sides)
    add("--sides", type=listed, default=list(sides), help=f"some of the default: {every}")
    add("--only", metavar="TEXT", help="only rows whose name has this text in it")
    add("--output", type=Path, default=Path("out/benchmarks"), help="directory of the results")
    return parser


def plan_of(args: argparse.Namespace) -> Plan:
    """How long to measure, by the options."""
    if args.smoke:
        return Plan(rounds=2, budget=0.1, at_least=1, block=0.002, pause=0.001)
    return Plan(rounds=3, budget=0.2, at_least=1) if args.quick else Plan()


def selected(rows: Iterable[Any], args: argparse.Namespace) -> list[Any]:
    """The rows that the options ask for; the peak is always one, as others are compared with it."""
    rows = [row for row in rows if row.quick or not args.quick]
    return [r for r in rows if args.only is None or args.only in r.name or r.group == "peak"]
