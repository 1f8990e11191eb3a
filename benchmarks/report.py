"""Results as a Markdown table, as JSON and as a chart."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import charts
from harness import Row, Summary, geometric_mean
from sides import TITLES

PACKAGES = ("numpy", "numba", "torch", "jax")


def machine() -> dict[str, Any]:
    """The computer, the versions, and how busy it is, for whoever compares results."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **versions,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "date": datetime.date.today().isoformat(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def milliseconds(seconds: float) -> str:
    """Three digits: 0.0123, 1.23, 123."""
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def cell(summary: Summary | None) -> str:
    """Median and quartiles."""
    if summary is None:
        return "-"
    times = map(milliseconds, (summary.median, summary.q1, summary.q3))
    return "{} ({}…{})".format(*times)


def peak(rows: list[Row]) -> float | None:
    """Operations per second of the fastest library at the large matrix product."""
    rates = [row.rate(side) for row in rows if row.group == "peak" for side in row.results]
    return max(filter(None, rates), default=None)


def line(row: Row, sides: list[str], best: float | None) -> list[str]:
    """A row's cells: its name, tinyvision's time and share of the peak, the others' and ratios."""
    rate = row.rate("tinyvision")
    share = f"{rate / best:.0%}" if rate and best else "-"
    cells = [row.name, cell(row.results.get("tinyvision")), share]
    for side in sides:
        if side != "tinyvision":
            ratio = row.ratio(side)
            cells += [cell(row.results.get(side)), "-" if ratio is None else f"**{ratio:.2f}**"]
    return cells


def table(rows: list[Row], sides: list[str]) -> str:
    """The times of all sides and, beside them, how many times as long as tinyvision they take."""
    head = ["", "tinyvision, ms", "of peak"]
    for side in sides:
        if side != "tinyvision":
            head += [f"{TITLES[side]}, ms", "ratio"]
    best = peak(rows)
    return markdown([head] + [line(row, sides, best) for row in rows])


def markdown(lines: list[list[str]]) -> str:
    """A Markdown table; the first line is its head."""
    head, *body = lines
    marks = [":--"] + ["--:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, marks, *body])


def means(rows: list[Row], sides: list[str]) -> list[dict[str, Any]]:
    """The geometric mean of the ratios, by group of rows and side, and the worst of them."""
    found = []
    groups = dict.fromkeys(row.group for row in rows if row.group != "peak")
    for group in groups:
        alike = [row for row in rows if row.group == group]
        for side in [*sides, "fastest of them"]:
            ratios = {row.name: _ratio(row, side) for row in alike}
            ratios = {name: ratio for name, ratio in ratios.items() if ratio is not None}
            if ratios and side != "tinyvision":
                worst = min(ratios, key=lambda name: ratios[name])
                mean = geometric_mean(ratios.values())
                summary = {"mean": mean, "least": ratios[worst], "worst": worst}
                found.append({"group": group, "side": side, "rows": len(ratios), **summary})
    return found


def _ratio(row: Row, side: str) -> float | None:
    if side != "fastest of them":
        return row.ratio(side)
    ratios = [row.ratio(other) for other in row.results if other not in ("tinyvision", "numpy")]
    return min(filter(None, ratios), default=None)


def summary(rows: list[Row], sides: list[str]) -> str:
    """The geometric means, as a table."""
    head = ["", "against", "rows", "geometric mean", "least", "of"]
    lines = [
        [m["group"], TITLES.get(m["side"], m["side"]), str(m["rows"])]
        + [f"**{m['mean']:.2f}**", f"{m['least']:.2f}", m["worst"]]
        for m in means(rows, sides)
    ]
    return markdown([head, *lines]) if lines else "Nothing was measured against another library."


def reasons(by_row: dict[str, dict[str, str]]) -> str:
    """Why there is a "-", each reason once; by_row: row -> side -> reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, by_side in by_row.items():
        for side, reason in by_side.items():
            found.setdefault((side, reason), []).append(name)
    lines = []
    for (side, reason), names in found.items():
        where = "everywhere" if len(names) == len(by_row) else "; ".join(names)
        lines.append(f"- {TITLES.get(side, side)}: {reason} ({where})")
    return "\n".join(lines)


def setting(args: argparse.Namespace, info: dict[str, Any]) -> str:
    """Where and how it was measured."""
    versions = ", ".join(f"{name} {info[name]}" for name in ("python", *PACKAGES))
    cpus = f"{args.threads} threads on {info['cpus']} CPUs"
    lines = [
        f"{info['processor']}, {cpus}, {info['system']}. {versions}.",
        f"{info['date']}; load before the run: {info['load']} (0 on a quiet machine).",
    ]
    kept = [side for side, keeps in info.get("keeps freed memory", {}).items() if keeps]
    if kept:
        names = ", ".join(TITLES[side] for side in kept)
        lines.append(f"Page faults avoided (freed memory kept, by mallopt) for {names}.")
    if args.quick:
        lines.append("A selection of the rows (`--quick`), with few rounds.")
    if args.smoke:
        lines.append("**Tiny sizes (`--smoke`): the times mean nothing.**")
    return " ".join(lines)


METHOD = """\
Milliseconds per call: median (quartiles). Ratio: the other's median divided by tinyvision's; above
1, tinyvision is faster; within 10 % of 1 is a tie. Of peak: arithmetic per second (as the formula
counts it, whatever the algorithm saves) as a share of the fastest library's in a large matrix
product. Each library in a process of its own, taking turns; warm; all with as many threads.
PyTorch's optimizers are `fused=True`, JAX's images (N, H, W, C). Results were compared before they
were timed."""


def method(docstring: str | None) -> str:
    """How it was measured: what a benchmark's docstring says after summary and command."""
    return (docstring or "").split("\n\n", 2)[2].rstrip()


def write(name: str, rows: list[Row], args: argparse.Namespace, info: dict[str, Any]) -> None:
    """All files of a table of times, and the means on standard output."""
    sides = args.sides
    parts = [f"# {name}", setting(args, info), METHOD, summary(rows, sides), table(rows, sides)]
    parts.append(reasons({row.name: row.reasons for row in rows}))
    content = {
        "machine": info,
        "settings": settings(args),
        "peak": peak(rows),
        "means": means(rows, sides),
        "rows": [row.as_json() for row in rows],
    }
    save(name, "\n\n".join(parts), content, args.output)
    charts.ratios(args.output / f"{name}.png", name, rows, sides)
    print(f"\n{summary(rows, sides)}\n\nwrote {args.output}/{name}.md, .json and .png")


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """The command line, for the JSON file."""
    return {name: str(v) if isinstance(v, Path) else v for name, v in vars(args).items()}


def save(name: str, text: str, content: Any, folder: Path) -> None:
    """Write the Markdown and the JSON file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text + "\n")
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def progress(row: Row) -> None:
    """A row that is done, as a line for whoever is waiting."""
    words = [f"{row.name:56}"]
    for side in [*row.results, *row.reasons]:
        measured, ratio = row.results.get(side), row.ratio(side)
        text = f"{milliseconds(measured.median)} ms" if measured else "-"
        words.append(f"{side} {text}" if ratio is None or ratio == 1 else f"{side} {ratio:.2f}")
    print("  ".join(words), flush=True)
    if row.failed:
        print(f"    {row.reasons}", file=sys.stderr)


def curves(by_x: dict[float, dict[str, float]], scale: float) -> dict[str, dict[float, float]]:
    """x -> side -> y, turned into side -> x -> y, in units of `scale`."""
    found: dict[str, dict[float, float]] = {}
    for x, by_side in by_x.items():
        for side, y in by_side.items():
            found.setdefault(side, {})[x] = y / scale
    return found


def comparison(
    values: dict[str, dict[str, float]], sides: list[str], unit: str, scale: float
) -> str:
    """A table of plain figures, row -> side -> figure, in units of `scale`; with ratios."""
    head = ["", f"tinyvision, {unit}"]
    others = [side for side in sides if side != "tinyvision"]
    for side in others:
        head += [f"{TITLES[side]}, {unit}", "ratio"]
    lines = []
    for name, by_side in values.items():
        ours = by_side.get("tinyvision")
        lines.append([name, "-" if ours is None else f"{ours / scale:.3g}"])
        for side in others:
            theirs = by_side.get(side)
            ratio = "-" if not ours or theirs is None else f"**{theirs / ours:.2f}**"
            lines[-1] += ["-" if theirs is None else f"{theirs / scale:.3g}", ratio]
    return markdown([head, *lines])
