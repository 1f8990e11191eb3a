"""The charts, if matplotlib is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import Row
from sides import TITLES

try:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FixedLocator, LogLocator, NullLocator
except ImportError:
    pyplot = None

COLOURS = {"pytorch": "C3", "channels_last": "C1", "compile": "C4", "jax": "C0", "numpy": "0.7"}
COLOURS |= {"tinyvision": "C2"}


def ratios(path: Path, title: str, rows: list[Row], sides: list[str]) -> None:
    """A line per row: how many times as long as tinyvision each library takes.

    Without the NumPy twins, which are too far away.
    """
    rows = [row for row in rows if row.group != "peak"]
    sides = [side for side in sides if side not in ("tinyvision", "numpy")]
    if pyplot is None or not rows:
        return
    figure, axes = pyplot.subplots(figsize=(9, 1.5 + 0.22 * len(rows)))
    for side in reversed(sides):
        found = [(row.ratio(side), y) for y, row in enumerate(rows) if row.ratio(side) is not None]
        if found:
            axes.plot(*zip(*found, strict=True), "o", color=COLOURS[side], label=TITLES[side])
    axes.axvline(1, color=COLOURS["tinyvision"], label="tinyvision")
    axes.set_xscale("log")
    _plain_numbers(axes.xaxis, LogLocator(subs=(1, 2, 5)))
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=7)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="y", alpha=0.3)
    axes.set_xlabel("time / tinyvision's time: on the right of the line, tinyvision is faster")
    axes.set_title(title)
    axes.legend(fontsize=8)
    _save(figure, path)


def curves(path: Path, titles: list[tuple[str, str, str]], curves: list[dict[str, Any]]) -> None:
    """Diagrams side by side, of (title, x, y), each with a curve {x: y} per side; log-log."""
    if pyplot is None:
        return
    figure, all_axes = pyplot.subplots(
        1, len(titles), figsize=(5 * len(titles), 4.5), squeeze=False
    )
    for axes, (title, x, y), by_side in zip(all_axes[0], titles, curves, strict=True):
        for side, points in by_side.items():
            axes.loglog(
                *zip(*points.items(), strict=True), "o-", color=COLOURS[side], label=TITLES[side]
            )
        axes.set(title=title, xlabel=x, ylabel=y)
        axes.grid(alpha=0.3)
        if by_side:
            _plain_numbers(axes.xaxis, FixedLocator(sorted(set().union(*by_side.values()))))
            _plain_numbers(axes.yaxis, LogLocator(subs=(1, 2, 5)))
            axes.legend(fontsize=8)
    _save(figure, path)


def bars(path: Path, title: str, unit: str, values: dict[str, dict[str, float]]) -> None:
    """Groups of bars: row -> side -> value."""
    if pyplot is None or not any(values.values()):
        return
    sides = list(dict.fromkeys(side for by_side in values.values() for side in by_side))
    height = 0.8 / max(len(sides), 1)
    figure, axes = pyplot.subplots(figsize=(8, 1.5 + 0.9 * len(values)))
    for i, side in enumerate(sides):
        bars = [(y + i * height, v[side]) for y, v in enumerate(values.values()) if side in v]
        axes.barh(*zip(*bars, strict=True), height, color=COLOURS[side], label=TITLES[side])
    axes.set_yticks([y + 0.3 for y in range(len(values))], list(values))
    axes.invert_yaxis()
    axes.set(title=title, xlabel=unit)
    axes.legend(fontsize=8)
    _save(figure, path)


def _plain_numbers(axis: Any, places: Any) -> None:
    """0.5, 1, 2, 5, 10 on a logarithmic axis."""
    axis.set_major_locator(places)
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value:g}")


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    pyplot.close(figure)
