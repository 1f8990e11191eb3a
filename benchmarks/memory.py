"""The most memory that a training step needs, and attention's against the sequence length.

    python benchmarks/memory.py --quick

Every figure is of a process of its own: the peak of its resident memory during some steps. "The
step" is that peak less what was resident after a tiny step, when all code had been loaded: the
parameters, what backward needs, and whatever the library keeps for the next step. What warming up
needed and freed again (a compiler's memory, say) is not counted. Here all have the C library's
usual settings. Linux only.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import charts
import report
from command import options, selected
from sides import Broken, Worker, unavailable
from tables import LENGTHS, TRAINING

SIDES = ("tinyvision", "pytorch", "compile", "jax", "numpy")
MB = 2.0**20


def measure(spec: Any, args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """By side: {"process": bytes, "step": bytes}, or {"reason": why not}."""
    absent = {side: unavailable(side) for side in args.sides}
    if args.quick:
        absent["compile"] = absent.get("compile") or "left out by --quick: it compiles too long"
    answers = {side: {"reason": reason} for side, reason in absent.items() if reason}
    here = [side for side in args.sides if side not in answers]
    in_new_processes(["tinyvision"], "first", spec, args)  # compiling kernels needs memory, too
    return answers | in_new_processes(here, "memory", spec, args)


def in_new_processes(
    sides: list[str], do: str, spec: Any, args: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """What the sides answer to a command; at the same time, for this is not about time."""
    workers = {side: Worker(side, args.threads, keep_memory=False) for side in sides}
    answers = {}
    for worker in workers.values():
        worker.send(do=do, row=spec.name, smoke=args.smoke)
    for side, worker in workers.items():
        try:
            worker.receive()  # that it is ready
            answers[side] = worker.receive()
        except Broken as error:
            answers[side] = {"reason": str(error), "missing": False}
        worker.stop()
    return answers


def figures(answers: dict[str, dict[str, Any]], which: str) -> dict[str, float]:
    """The bytes of those sides that have them."""
    return {side: answer[which] for side, answer in answers.items() if which in answer}


def main() -> None:
    args, info = options(__doc__, SIDES).parse_args(), report.machine()
    found = {}
    for spec in selected([*TRAINING, *LENGTHS], args):
        found[spec.name] = measure(spec, args)
        step = figures(found[spec.name], "step")
        print(f"{spec.name:52}", *(f"{s} {n / MB:.1f} MB" for s, n in step.items()), sep="  ")
    write(found, args, info)
    failed = [
        a for by_side in found.values() for a in by_side.values() if a.get("missing") is False
    ]
    sys.exit(bool(failed))


def write(found: dict[str, Any], args: argparse.Namespace, info: dict[str, Any]) -> None:
    """All files."""
    tables = [
        {name: figures(by_side, which) for name, by_side in found.items()}
        for which in ("step", "process")
    ]
    lacking = {
        name: {side: answer["reason"] for side, answer in by_side.items() if "reason" in answer}
        for name, by_side in found.items()
    }
    parts = ["# memory", report.setting(args, info), report.method(__doc__)]
    for title, table in zip(("The step", "The whole process"), tables, strict=True):
        parts += [f"## {title}", report.comparison(table, args.sides, "MB", MB)]
    parts.append(report.reasons(lacking))
    content = {"machine": info, "settings": report.settings(args), "rows": found}
    report.save("memory", "\n\n".join(parts), content, args.output)
    curves = report.curves({row.operation.T: tables[0].get(row.name, {}) for row in LENGTHS}, MB)
    titles = [("attention (1, 8, T, 64), forward + backward", "T", "peak memory, MB")]
    charts.curves(args.output / "memory.png", titles, [curves])
    print(f"\nwrote {args.output}/memory.md, .json and .png")


if __name__ == "__main__":
    main()
