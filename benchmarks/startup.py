"""How long it takes until a program gets going: imports, and the first training step.

    python benchmarks/startup.py --quick

All times are of new processes. An import is timed from the start of the process to its end; a
first step from the start of the process to the end of the step, once with an empty cache of
compiled code (tinyvision's is Numba's, torch.compile has one of its own; PyTorch's eager mode and
JAX keep nothing) and then with what that run has left there.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from typing import Any

import charts
import report
from command import options
from harness import turns
from sides import Broken, Worker, environment, unavailable
from tables import find

SIDES = ("tinyvision", "pytorch", "compile", "jax")
IMPORTS = {  # statement -> the side that must be there for it
    "pass": "tinyvision",
    "import numpy": "tinyvision",
    "import numba": "tinyvision",
    "import tinyvision": "tinyvision",
    "import torch": "pytorch",
    "import jax": "jax",
}
NETWORKS = ("LeNet N=32, train step", "ViT MNIST N=128, train step", "ViT CIFAR N=128, train step")


def import_times(args: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of processes that execute one statement."""
    statements = [
        statement
        for statement, side in IMPORTS.items()
        if side in args.sides and unavailable(side) is None
    ]
    seconds: dict[str, list[float]] = {statement: [] for statement in statements}
    for round in range(1 + (2 if args.quick or args.smoke else 7)):
        for statement in turns(statements, round):
            start = time.perf_counter()
            command = [sys.executable, "-c", statement]
            subprocess.run(command, env=environment("tinyvision", args.threads), check=True)
            if round > 0:  # the first has filled the operating system's cache of files
                seconds[statement].append(time.perf_counter() - start)
    return seconds


def first_step(side: str, row: str, args: argparse.Namespace, cache: str | None) -> dict[str, Any]:
    """The first step in a new process: {"total": seconds, ...}, or {"reason": why not}."""
    settings = {}
    if cache is not None:
        settings = {"NUMBA_CACHE_DIR": cache, "TORCHINDUCTOR_CACHE_DIR": cache}
    start = time.perf_counter()
    worker = Worker(side, args.threads, settings=settings)
    try:
        worker.receive()
        ready = time.perf_counter() - start
        answer = worker.ask(do="first", row=row, smoke=args.smoke)
        return {"total": time.perf_counter() - start, "import": ready, **answer}
    except Broken as error:
        return {"reason": str(error), "missing": False}
    finally:
        worker.stop()


def first_steps(side: str, row: str, args: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """With an empty cache, and then with the filled one."""
    reason = unavailable(side)
    if reason is None and args.quick and side == "compile":
        reason = "left out by --quick: it compiles too long"
    if reason is not None:
        return {"empty": [{"reason": reason}], "filled": [{"reason": reason}]}
    if args.quick:  # with the cache that the user has
        first_step(side, row, args, None)
        left_out = [{"reason": "left out by --quick"}]
        return {"empty": left_out, "filled": [first_step(side, row, args, None)]}
    with tempfile.TemporaryDirectory() as cache:
        empty = [first_step(side, row, args, cache)]
        return {"empty": empty, "filled": [first_step(side, row, args, cache) for _ in range(3)]}


def median(runs: Iterable[dict[str, Any]]) -> float | None:
    """Of the total times; None if there are none."""
    totals = [run["total"] for run in runs if "reason" not in run]
    return statistics.median(totals) if totals else None


def main() -> None:
    args, info = options(__doc__, SIDES).parse_args(), report.machine()
    imports = import_times(args)
    steps: dict[str, dict[str, list[dict[str, Any]]]] = {}
    networks = NETWORKS[:1] if args.quick or args.smoke else NETWORKS
    for network in [name for name in networks if args.only is None or args.only in name]:
        for side in args.sides:
            for cache, runs in first_steps(side, find(network).name, args).items():
                name = f"{network.partition(',')[0]}, {cache} cache"
                steps.setdefault(name, {})[side] = runs
                print(f"{name:32} {side:12} {median(runs) or '-'}", flush=True)
    write(imports, steps, args, info)
    runs = [run for by_side in steps.values() for found in by_side.values() for run in found]
    sys.exit(any(run.get("missing") is False for run in runs))


def write(imports: Any, steps: Any, args: argparse.Namespace, info: dict[str, Any]) -> None:
    """All files."""
    medians = {
        name: {s: median(runs) for s, runs in sides.items()} for name, sides in steps.items()
    }
    totals = {
        name: {side: total for side, total in by_side.items() if total is not None}
        for name, by_side in medians.items()
    }
    lacking = {
        name: {side: runs[0]["reason"] for side, runs in sides.items() if "reason" in runs[0]}
        for name, sides in steps.items()
    }
    lines = [
        [statement, f"{statistics.median(times):.3f}", f"{min(times):.3f}…{max(times):.3f}"]
        for statement, times in imports.items()
    ]
    parts = ["# startup", report.setting(args, info), report.method(__doc__)]
    parts.append(report.markdown([["process", "seconds", "least…most"], *lines]))
    parts += [report.comparison(totals, args.sides, "s", 1.0), report.reasons(lacking)]
    content = {"machine": info, "settings": report.settings(args)}
    content |= {"imports": imports, "first steps": steps}
    report.save("startup", "\n\n".join(parts), content, args.output)
    title = "From the start of a process to the end of its first training step"
    charts.bars(args.output / "startup.png", title, "seconds", totals)
    print(f"\nwrote {args.output}/startup.md, .json and .png")


if __name__ == "__main__":
    main()
