"""A planned sweep as a reader sees it: 100 columns of plain text, whatever was typed."""

import io
from typing import Any

from msgspec.structs import replace

from mnist_exp.config.parsing import NO_SWEEP
from mnist_exp.report.terminal import Terminal
from mnist_exp.runs.records import SweepJob, SweepRecord
from mnist_exp.sweeps.checking import Checked, DataFacts
from mnist_exp.sweeps.estimate import JobEstimate
from mnist_exp.sweeps.planning import PlannedSweep
from mnist_exp.sweeps.screen import render_plan

HOSTILE = "[red]x[/red] \x1b[31m\n:smile: [/]"


def planned(varied: list[dict[str, Any]], **parts: Any) -> PlannedSweep:
    config = {"training": {"epochs": 35}, "runs_dir": "runs"}
    jobs = [
        SweepJob(number=number, name=f"job_{number}", overrides=[], varied=values, config=config, search=None,
                 num_params=101_770)
        for number, values in enumerate(varied)
    ]  # fmt: skip
    record = SweepRecord(
        name="mine", created_at="2026-01-01T00:00:00.000Z", argv=["-m", "model=ann,cnn", "plan=true"],
        versions={}, git=None, working_dir="/", cores_per_job=0, jobs=jobs,
    )  # fmt: skip
    checked = [Checked(101_770, DataFacts((28, 28), 10, 55_000, None))] * len(jobs)
    return PlannedSweep(**({"record": record, "num_duplicates": 0, "notes": [], "checked": checked} | parts))


def shown(
    plan: PlannedSweep,
    jobs_at_once: int = 2,
    estimates: list[JobEstimate | None] | None = None,
    **request: Any,
) -> list[str]:
    out = io.StringIO()
    if estimates is None:
        estimates = [JobEstimate(12.0, 2_700_000)] * len(plan.record.jobs)
    shown = render_plan(plan, estimates, replace(NO_SWEEP, **request), jobs_at_once)
    Terminal(stdout=out, stderr=out).print(shown)
    lines = out.getvalue().splitlines()
    assert all(len(line) <= 100 for line in lines if not line.startswith("  mnist-exp")), lines
    assert "\x1b" not in out.getvalue()
    return lines


def rows(lines: list[str]) -> list[list[str]]:
    """The cells of the table of jobs."""
    first = next(number for number, line in enumerate(lines) if "──" in line)
    last = lines.index("", first)
    return [line.split() for line in lines[first + 1 : last]]


def test_a_plan_says_what_varies_what_it_takes_and_that_nothing_was_run() -> None:
    lines = shown(planned([{"model": model, "seed": seed} for model in ("ann", "cnn") for seed in range(5)]))
    text = "\n".join(lines)
    assert lines[0] == "sweep mine  10 jobs"
    assert "model  ann, cnn" in text and "seed   0 to 4" in text
    assert rows(lines)[3] == ["3", "ann", "3", "101,770", "35", "12", "s"]
    assert "at once         2 jobs" in text and "time            about 1 min 05 s, from earlier runs" in text
    assert "disk            about 27 MB" in text and "runs/mine" in text
    assert "nothing was run" in text and lines[-1] == "  mnist-exp -m model=ann,cnn"


def test_of_many_jobs_the_first_and_the_last_are_listed() -> None:
    listed = rows(shown(planned([{"seed": seed} for seed in range(300)])))
    assert [row[0] for row in listed] == [*map(str, range(20)), "…", "297", "298", "299"]
    assert listed[20][1:3] == ["277", "more"]
    fewer = rows(shown(planned([{"seed": seed} for seed in range(24)])))
    assert len(fewer) == 24, "a row is left out for a row that says so"


def test_a_single_job_has_nothing_that_varies() -> None:
    lines = shown(planned([{}]), jobs_at_once=1)
    assert lines[0] == "sweep mine  1 job" and rows(lines) == [["0", "101,770", "35", "12", "s"]]
    assert any("at once         1 job" in line for line in lines)


def test_what_varies_has_a_column_each_unless_they_would_not_fit() -> None:
    listed = rows(shown(planned([{"model": "ann", "model.units": [64, 32]}, {"model": "cnn"}])))
    assert listed[0][1:4] == ["ann", "[64,", "32]"] and listed[1][1:3] == ["cnn", "–"]
    listed = rows(shown(planned([{"training.epochs": 1}, {"training.epochs": 35}])))
    assert listed[1] == ["1", "35", "101,770", "12", "s"], "epochs are said twice"
    values = [{f"training.some_long_name_{key}": value for key in "abcdef"} for value in (0.001, 0.1)]
    lines = shown(planned(values))
    assert any("what varies" in line for line in lines) and len(rows(lines)) == 2


def test_duplicates_notes_and_what_happens_after_a_failure_are_told() -> None:
    plan = planned([{"seed": 0}], num_duplicates=5, notes=["One thing.", "Another."])
    text = "\n".join(shown(plan))
    for words in ("left out        5 jobs: the same as others, seed included", "One thing.", "Another."):
        assert words in text
    assert "the others continue" in text
    assert "no more jobs are started" in "\n".join(shown(plan, on_fail="stop"))


def test_what_is_not_known_yet_is_said() -> None:
    two = planned([{"seed": 0}, {"seed": 1}])
    lines = shown(two, estimates=[JobEstimate(3.0, 10_000_000), None])
    text = "\n".join(lines)
    assert "at least 8.0 s, from earlier runs" in text and "at least 10 MB" in text
    assert rows(lines)[1][-1] == "–"
    text = "\n".join(shown(two, estimates=[None, None]))
    assert "not known yet: no earlier run" in text and "disk" not in text


def test_hostile_values_are_shown_as_they_are_on_one_line() -> None:
    varied = [{HOSTILE: HOSTILE, "model": "ann"}, {HOSTILE: [HOSTILE, {"a": HOSTILE}], "model": "cnn"}]
    lines = shown(planned(varied, notes=[HOSTILE]))
    assert any("[red]x[/red] :smile: [/]" in line for line in lines)
    assert len(rows(lines)) == 2
