"""A benchmark's run: every row prepared by every side, results compared, then timed in turns."""

from __future__ import annotations

import argparse
import sys
import tempfile
from typing import Any

import report
from command import plan_of
from harness import Plan, Row, Sample, difference, interleave, summarise
from sides import Broken, Worker, read_results, unavailable


class Contest:
    """Some sides, each with its process.

    sides: (side, threads) by the name that the tables are to use.
    """

    def __init__(self, sides: dict[str, tuple[str, int]], smoke: bool = False) -> None:
        self.smoke = smoke
        absent = {title: unavailable(side) for title, (side, _) in sides.items()}
        self.absent = {title: reason for title, reason in absent.items() if reason is not None}
        self.sides = {title: side for title, side in sides.items() if title not in self.absent}
        self.keeps_memory: dict[str, bool] = {}
        self._workers: dict[str, Worker] = {}
        self._folder = tempfile.TemporaryDirectory()

    def __enter__(self) -> Contest:
        self._start_missing()
        return self

    def __exit__(self, *exc_info: object) -> None:
        for worker in self._workers.values():
            worker.stop()
        self._folder.cleanup()

    def measure(self, spec: Any, plan: Plan) -> Row:
        """One row. A side that cannot do it gets a reason instead of a time."""
        self._start_missing()
        row = Row(spec.name, spec.group, spec.family)
        row.reasons |= self.absent
        self._compare(row, self._prepare(row), spec.tolerance)
        turns = {title: _Turn(self, row, title) for title in self._ready(row)}
        samples = interleave(turns, plan)
        for title in self._ready(row):
            row.results[title] = summarise(samples[title])
        self._ask_all(row, do="release")
        return row

    def block(self, row: Row, title: str, seconds: float) -> list[Sample]:
        """A block of one side; none if it has dropped out."""
        if title in row.reasons:
            return []
        try:
            return self._workers[title].block(seconds)
        except Broken as error:
            self._drop(row, title, error)
            return []

    def _start_missing(self) -> None:
        """Start the processes: at the beginning, or after one has ended."""
        new = {t: Worker(*side) for t, side in self.sides.items() if t not in self._workers}
        self._workers |= new
        for title, worker in new.items():
            self.keeps_memory[title] = worker.receive()["keeps_memory"]

    def _prepare(self, row: Row) -> dict[str, str]:
        """All sides at once: this may compile, and is not timed. Returns the files of results."""
        answers = self._ask_all(
            row,
            do="prepare",
            row=row.name,
            smoke=self.smoke,
            folder=self._folder.name,
        )
        for title, answer in answers.items():
            if "reason" in answer:
                row.reasons[title] = answer["reason"]
                row.failed |= not answer["missing"]
            else:
                row.operations = row.operations or answer["operations"]
        return {title: answers[title]["results"] for title in self._ready(row)}

    def _compare(self, row: Row, files: dict[str, str], tolerance: float) -> None:
        """Refuse to time what is not what the others compute; PyTorch is right, if it is here."""
        if not files:
            return
        judge = next((title for title in files if self.sides[title][0] == "pytorch"), None)
        expected = read_results(files[judge or next(iter(files))])
        for title, file in files.items():
            actual = read_results(file)
            worst = max(difference(actual[name], expected[name]) for name in expected)
            row.differences[title] = worst
            if worst > tolerance:
                row.reasons[title] = f"differs from the others by {worst:.1e}, so it was not timed"
                row.failed = True

    def _ask_all(self, row: Row, /, **command: Any) -> dict[str, dict[str, Any]]:
        """The answers of all sides, which work on them at the same time."""
        for worker in self._workers.values():
            worker.send(**command)
        answers = {}
        for title, worker in list(self._workers.items()):
            try:
                answers[title] = worker.receive()
            except Broken as error:
                self._drop(row, title, error)
        return answers

    def _ready(self, row: Row) -> list[str]:
        return [title for title in self._workers if title not in row.reasons]

    def _drop(self, row: Row, title: str, error: Broken) -> None:
        """A side has broken down in a row: the next one gets a new process."""
        row.reasons[title], row.failed = str(error), True
        self._workers.pop(title).stop()


class _Turn:
    """A side in a row, as `interleave` wants it."""

    def __init__(self, contest: Contest, row: Row, title: str) -> None:
        self.contest, self.row, self.title = contest, row, title

    def block(self, seconds: float) -> list[Sample]:
        return self.contest.block(self.row, self.title, seconds)


def measure_all(contest: Contest, specs: list[Any], plan: Plan) -> list[Row]:
    """All rows, telling of each when it is done."""
    rows = []
    for spec in specs:
        rows.append(contest.measure(spec, plan))
        report.progress(rows[-1])
    return rows


def run(name: str, specs: list[Any], args: argparse.Namespace) -> None:
    """A whole benchmark: measure, write all files, exit with 1 if something went wrong."""
    info = report.machine()
    with Contest({side: (side, args.threads) for side in args.sides}, args.smoke) as contest:
        rows = measure_all(contest, specs, plan_of(args))
    info["keeps freed memory"] = contest.keeps_memory
    report.write(name, rows, args, info)
    sys.exit(any(row.failed for row in rows))
