"""The benchmarks: statistics on fake clocks, turns, reports, and every row at a tiny size."""

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path

import charts
import command
import contest
import harness
import models
import numpy as np
import pytest
import report
import rows
import tables
import workloads
from hypothesis import given
from hypothesis import strategies as st

import tinyvision as tv

ROOT = Path(__file__).resolve().parent.parent
EVERYTHING = [*tables.OPS, *tables.STEPS, *tables.LENGTHS, *tables.THREADS]


class FakeTime:
    """A clock that only calls move on; the counters count calls."""

    def __init__(self, seconds_per_call):
        self.now, self.calls, self.seconds_per_call = 0.0, 0, seconds_per_call

    def call(self):
        self.now += self.seconds_per_call
        self.calls += 1

    def clock(self):
        return self.now

    def count(self):
        return harness.Counters(switches=self.calls // 100, faults=2 * self.calls)


def timer_of(fake):
    return harness.Timer(fake.call, fake.clock, fake.count)


def samples(*seconds, switches=0):
    return [harness.Sample(s, switches, 0.0) for s in seconds]


def test_timer_groups_short_calls_until_a_sample_lasts_a_millisecond():
    fake = FakeTime(seconds_per_call=1.01e-4)
    timer = timer_of(fake)
    block = timer.block(0.05)
    assert timer.calls == 16  # 8 calls last 0.8 ms
    # Calibration, one call to wake up, and as many samples as fill the block.
    assert fake.calls == (1 + 2 + 4 + 8 + 16) + 1 + 16 * len(block)
    assert len(block) == math.ceil(0.05 / (16 * 1.01e-4))
    assert {sample.faults for sample in block} == {2.0}
    np.testing.assert_allclose([sample.seconds for sample in block], 1.01e-4)


def test_timer_counts_the_context_switches_of_each_sample():
    block = timer_of(FakeTime(seconds_per_call=1e-4)).block(0.05)
    switches = [sample.switches for sample in block]
    assert set(switches) == {0, 1} and 0.1 < np.mean(switches) < 0.2  # one in 100 calls


def test_timer_makes_long_calls_one_by_one():
    fake = FakeTime(seconds_per_call=0.3)
    timer = timer_of(fake)
    assert [len(timer.block(0.05)) for _ in range(3)] == [1, 1, 1]
    assert fake.calls == 1 + 3


def test_undisturbed_throws_away_samples_with_switches():
    quiet, disturbed = samples(1.0, 2.0, 3.0, 4.0), samples(9.0, 9.0, switches=1)
    assert harness.undisturbed([*disturbed, *quiet]) == quiet


def test_undisturbed_keeps_a_quarter_with_the_fewest_switches():
    disturbed = [harness.Sample(float(n), n, 0.0) for n in range(1, 21)]
    assert harness.undisturbed(disturbed[::-1]) == disturbed[:5]
    assert harness.undisturbed(disturbed[:4]) == disturbed[:3]
    assert harness.undisturbed(disturbed[:1]) == disturbed[:1]


def test_summarise_gives_median_quartiles_and_counts():
    given = samples(5.0, 1.0, 4.0, 2.0, 3.0) + samples(100.0, switches=2)
    summary = harness.summarise(given)
    assert summary == harness.Summary(3.0, 2.0, 4.0, samples=5, discarded=1, faults=0.0)


def test_geometric_mean_of_ratios_and_of_none():
    assert harness.geometric_mean([4.0, 1.0]) == pytest.approx(2.0)
    assert harness.geometric_mean([2.0, 0.5]) == pytest.approx(1.0)
    assert math.isnan(harness.geometric_mean([]))


@given(st.lists(st.floats(1e-3, 1e3), min_size=1))
def test_geometric_mean_of_inverses_is_the_inverse(ratios):
    mean = harness.geometric_mean(ratios)
    assert harness.geometric_mean(1 / r for r in ratios) == pytest.approx(1 / mean)
    assert min(ratios) * (1 - 1e-9) <= mean <= max(ratios) * (1 + 1e-9)


def test_difference_is_relative_to_the_largest_magnitude():
    expected = np.array([1.0, -10.0, 0.0], np.float32)
    assert harness.difference(expected, expected) == 0.0
    assert harness.difference(expected + np.float32(0.5), expected) == pytest.approx(0.05)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_difference_is_infinite_for_other_shapes_and_for_nan(wrong):
    assert harness.difference(np.zeros(3), np.zeros((3, 1))) == math.inf
    assert harness.difference(np.array([wrong]), np.zeros(1)) == math.inf
    assert harness.difference(np.zeros(1), np.array([wrong])) == math.inf


class FakeSide:
    """Takes so long for a block, on the log's clock."""

    def __init__(self, name, seconds, log):
        self.name, self.seconds, self.log = name, seconds, log

    def block(self, seconds):
        self.log.append(self.name)
        self.log.now += self.seconds
        return samples(self.seconds)


class Log(list):
    now = 0.0


def run_interleaved(plan, **seconds):
    """What happened in which order, and the samples."""
    log = Log()
    sides = {name: FakeSide(name, s, log) for name, s in seconds.items()}
    found = harness.interleave(sides, plan, sleep=log.append, clock=lambda: log.now)
    return log, found


def test_interleave_lets_each_side_begin_in_turn_after_a_pause():
    plan = harness.Plan(rounds=4, budget=100.0, pause=0.05)
    log, found = run_interleaved(plan, a=0.1, b=0.1, c=0.1)
    assert log[0::2] == [0.05] * 12
    assert "".join(log[1::2]) == "abc" + "bca" + "cab" + "abc"
    assert {name: len(taken) for name, taken in found.items()} == {"a": 4, "b": 4, "c": 4}


def test_interleave_ends_a_side_that_has_spent_its_time():
    plan = harness.Plan(rounds=10, budget=1.0, at_least=2)
    _, found = run_interleaved(plan, fast=0.05, slow=0.4, glacial=60.0)
    counts = {name: len(taken) for name, taken in found.items()}
    assert counts == {"fast": 10, "slow": 3, "glacial": 2}


class FakeWorker:
    """Answers like a worker; what it does with a row is decided by `behaviour`."""

    behaviour = {}
    started = []

    def __init__(self, side, threads):
        self.side = side
        self.answers = [{"ready": side, "keeps_memory": False}]
        self.started.append(side)

    def send(self, **command):
        if command["do"] == "prepare":
            self.answers.append(self.prepare(command["folder"]))
        else:
            self.answers.append({})

    def prepare(self, folder):
        does = self.behaviour.get(self.side, 1.0)
        if not isinstance(does, float):
            return does
        path = f"{folder}/{self.side}.npz"
        np.savez(path, output=np.array([does, 0.5], np.float32))
        return {"operations": 8.0, "results": path}

    def receive(self):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def block(self, seconds):
        if self.behaviour.get("block") == self.side:
            raise contest.Broken("gone")
        return samples(0.1 if self.side == "tinyvision" else 0.2)

    def stop(self):
        self.answers = [contest.Broken("stopped")]


@pytest.fixture
def fake_contest(monkeypatch):
    """Two sides with fake workers, and a function that measures a row."""
    monkeypatch.setattr(contest, "Worker", FakeWorker)
    monkeypatch.setattr(contest, "unavailable", lambda side: None)
    monkeypatch.setattr(FakeWorker, "started", [])
    with contest.Contest({"tinyvision": ("tinyvision", 1), "pytorch": ("pytorch", 1)}) as fake:
        plan = harness.Plan(rounds=2, pause=0.0)

        def measure(**behaviour):
            monkeypatch.setattr(FakeWorker, "behaviour", behaviour)
            return fake.measure(tables.PEAK, plan)

        yield measure


def test_contest_times_sides_that_agree(fake_contest):
    row = fake_contest(tinyvision=1.00001)
    assert row.ratio("pytorch") == pytest.approx(2.0)
    assert row.rate("tinyvision") == pytest.approx(80.0)
    assert not row.reasons and not row.failed


def test_contest_refuses_to_time_a_different_result(fake_contest):
    row = fake_contest(tinyvision=1.01)
    assert list(row.results) == ["pytorch"] and row.failed
    assert "differs from the others by 1.0e-02" in row.reasons["tinyvision"]


def test_contest_keeps_a_row_that_a_side_cannot_do(fake_contest):
    row = fake_contest(tinyvision={"reason": "NotImplementedError: no", "missing": True})
    assert row.reasons == {"tinyvision": "NotImplementedError: no"} and not row.failed
    assert fake_contest(tinyvision={"reason": "ValueError: no", "missing": False}).failed


@pytest.mark.parametrize(
    "behaviour", [{"tinyvision": contest.Broken("gone")}, {"block": "tinyvision"}]
)
def test_contest_starts_a_new_process_after_one_has_ended(fake_contest, behaviour):
    row = fake_contest(**behaviour)
    assert row.reasons == {"tinyvision": "gone"} and row.failed
    assert list(row.results) == ["pytorch"]
    assert not fake_contest().reasons
    assert FakeWorker.started == ["tinyvision", "pytorch", "tinyvision"]


def made_up_rows():
    """A peak of 100 operations per second, a row of two sides, a row that tinyvision lacks."""
    fast, slow = harness.summarise(samples(0.1)), harness.summarise(samples(0.2, 0.3, 0.4))
    peak = harness.Row("product", "peak", "P", 10.0, {"tinyvision": fast})
    both = harness.Row("conv", "forward", "C", 5.0, {"tinyvision": fast, "pytorch": slow})
    lacking = harness.Row("attention", "forward", "A", None, {"pytorch": slow})
    lacking.reasons["tinyvision"] = "NotImplementedError: soon"
    return [peak, both, lacking]


def test_report_table_has_a_cell_in_every_column():
    lines = report.table(made_up_rows(), ["tinyvision", "pytorch"]).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert {len(row) for row in cells} == {5}
    assert cells[1] == [":--", "--:", "--:", "--:", "--:"]
    assert cells[3] == ["conv", "100 (100…100)", "50%", "300 (250…350)", "**3.00**"]
    assert cells[4] == ["attention", "-", "-", "300 (250…350)", "-"]


def test_report_means_leave_out_the_peak_and_name_the_worst_row():
    conv = made_up_rows()[1]
    better = harness.Row("pool", "forward", "P", None, dict(conv.results))
    better.results["pytorch"] = harness.summarise(samples(1.2))
    found = report.means([*made_up_rows(), better], ["tinyvision", "pytorch"])
    assert [m["side"] for m in found] == ["pytorch", "fastest of them"]
    assert found[0]["rows"] == 2 and found[0]["mean"] == pytest.approx(6.0)
    assert found[0]["least"] == pytest.approx(3.0) and found[0]["worst"] == "conv"


def test_report_gives_each_reason_once():
    text = report.reasons({"a": {"jax": "no"}, "b": {"jax": "no", "pytorch": "never"}})
    assert text == "- JAX jit: no (everywhere)\n- PyTorch: never (b)"


def test_report_writes_markdown_and_strict_json(tmp_path, capsys):
    args = command.options("", ("tinyvision", "pytorch")).parse_args(["--output", str(tmp_path)])
    report.write("ops", made_up_rows(), args, report.machine())
    content = json.loads((tmp_path / "ops.json").read_text(), parse_constant=pytest.fail)
    assert content["peak"] == pytest.approx(100.0)
    assert content["rows"][1]["results"]["pytorch"]["median"] == pytest.approx(0.3)
    text = (tmp_path / "ops.md").read_text()
    assert "NotImplementedError: soon (attention)" in text and "| conv |" in text
    assert "geometric mean" in capsys.readouterr().out


def test_charts_are_written_also_where_figures_lack(tmp_path):
    pytest.importorskip("matplotlib")
    charts.ratios(tmp_path / "ratios.png", "ops", made_up_rows(), ["tinyvision", "pytorch", "jax"])
    charts.bars(tmp_path / "bars.png", "title", "s", {"a": {"pytorch": 1.0}, "b": {}})
    points = {"tinyvision": {1.0: 2.0, 4.0: 3.0}, "pytorch": {1.0: 1.0}}
    titles = [("drawn", "x", "y"), ("empty", "x", "y")]
    charts.curves(tmp_path / "curves.png", titles, [points, {}])
    for name in ("ratios", "bars", "curves"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_options_sides_are_in_order_and_include_tinyvision(capsys):
    parser = command.options("", ("tinyvision", "pytorch", "jax"))
    assert parser.parse_args([]).sides == ["tinyvision", "pytorch", "jax"]
    # Sides of other benchmarks are known, too: all.py hands its options on.
    assert parser.parse_args(["--sides", "jax,compile"]).sides == ["tinyvision", "jax"]
    with pytest.raises(SystemExit):
        parser.parse_args(["--sides", "tensorflow"])
    assert "tensorflow" in capsys.readouterr().err


def test_tables_names_are_unique_and_found():
    for table in (tables.OPS, tables.STEPS, tables.LENGTHS, tables.THREADS):
        assert len({row.name for row in table}) == len(table)
    sweeps = [tables.BATCHES, tables.CHANNELS, tables.TOKENS]
    for row in EVERYTHING + [row for sweep in sweeps for row in sweep.values()]:
        assert tables.find(row.name) == row or row.quick != tables.find(row.name).quick


def test_tables_quick_selects_rows_of_every_kind():
    quick = {row.family for row in tables.OPS if row.quick}
    assert quick == {row.family for row in tables.OPS}
    assert set(tables.QUICK_OPERATIONS) <= set(tables.OPERATIONS)


def test_convolution_counts_operations_and_spares_photographs_their_gradient():
    conv = workloads.Conv2d(16, 32, size=8, kernel=3, batch=2, stride=2, padding=1)
    assert conv.operations() == 2 * (2 * 32 * 4 * 4) * (16 * 9)
    assert rows.OperationRow(conv, backward=True).count() == 3 * conv.operations()
    first = workloads.Conv2d(3, 32, size=8, kernel=3)
    assert first.gradients == ("weight", "bias")
    assert rows.OperationRow(first, backward=True).count() == 2 * first.operations()


def test_models_count_operations_of_lenet():
    model = models.lenet(tv)
    conv1, conv2 = 2 * 28 * 28 * 6 * 75, 2 * 10 * 10 * 16 * 150
    forward = conv1 + conv2 + 2 * (400 * 120 + 120 * 84 + 84 * 10)
    counted = models.count_operations(tv, model, tv.zeros(4, 3, 32, 32))
    assert counted == (4 * forward, 4 * (3 * forward - conv1))


def test_models_have_the_parameters_of_their_papers():
    def parameters(name):
        return sum(p.numel() for p in models.NETWORKS[name].build(tv).parameters())

    assert parameters("LeNet") == 456 + 2416 + 48120 + 10164 + 850
    # ResNet-20 has 0.27 million (He et al., table 6); two projections add 2,752.
    assert parameters("ResNet-20") == 269_722 + 2_752


def test_initial_values_depend_on_the_name_only():
    np.testing.assert_array_equal(
        models.initial("a.weight", (3, 4)), models.initial("a.weight", (3, 4))
    )
    assert not np.array_equal(
        models.initial("a.weight", (3, 4)), models.initial("b.weight", (3, 4))
    )
    np.testing.assert_array_equal(models.initial("a.bias", (2,)), [0, 0])
    np.testing.assert_array_equal(models.initial("bn.running_var", (2,)), [1, 1])


def all_agree(sides):
    """Measure every row at a tiny size; what went wrong."""
    plan = harness.Plan(rounds=1, block=0.0, pause=0.0)
    # Many rows are the same at a tiny size; and with backward, forward is compared, too.
    distinct = {row.tiny(): row for row in tables.OPS if row.group != "forward"}
    steps = {row.network: row for row in tables.STEPS if row.group == "train step"}
    specs = [*distinct.values(), *steps.values(), tables.find("LeNet N=4, inference")]
    with contest.Contest({side: (side, 1) for side in sides}, smoke=True) as tiny:
        measured = [tiny.measure(spec, plan) for spec in specs]
    assert all(set(row.results) == set(sides) for row in measured if not row.reasons)
    return {row.name: row.reasons for row in measured if row.reasons}


def test_every_row_agrees_with_the_numpy_twins():
    assert all_agree(["tinyvision", "numpy"]) == {}


@pytest.mark.parity
def test_every_row_agrees_with_the_libraries_that_are_installed():
    pytest.importorskip("torch")
    jax = ["jax"] if importlib.util.find_spec("jax") else []
    assert all_agree(["tinyvision", "pytorch", "channels_last", *jax]) == {}


def run(script, *arguments, tmp_path):
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks" / script, "--smoke", "--threads", "1", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_ops_as_a_program_writes_its_results(tmp_path):
    found = run("ops.py", "--sides", "numpy", "--only", "softmax 128", tmp_path=tmp_path)
    assert found.returncode == 0, found.stderr
    content = json.loads((tmp_path / "out/benchmarks/ops.json").read_text())
    # The peak, forward, and forward with backward.
    assert [list(row["results"]) for row in content["rows"]] == [["tinyvision", "numpy"]] * 3
    assert "softmax 128×10, forward" in found.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak")
def test_memory_as_a_program_finds_the_memory_of_attention(tmp_path):
    found = run("memory.py", "--sides", "tinyvision", "--only", "LeNet N=4,", tmp_path=tmp_path)
    assert found.returncode == 0, found.stderr
    (by_side,) = json.loads((tmp_path / "out/benchmarks/memory.json").read_text())["rows"].values()
    assert by_side["tinyvision"]["process"] > 10_000_000
    assert "## The whole process" in (tmp_path / "out/benchmarks/memory.md").read_text()
