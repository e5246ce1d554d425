"""What the plugin writes, line by line."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_estop.failures import Failures
from pytest_estop.progress import Pace, ProgressFile
from pytest_estop.stop import stopped_by
from run import Run

ALONE = ["-p", "no:xdist"]
WORKERS = ["-n", "2"]
both = pytest.mark.parametrize("how", [ALONE, WORKERS], ids=["alone", "xdist"])


def counts(total: int, done: int, failed: int = 0, flaky: int = 0, skipped: int = 0) -> dict[str, Any]:
    return {"total": total, "done": done, "failed": failed, "flaky": flaky, "skipped": skipped, "current": ""}


@both
def test_each_outcome_is_counted_once(tmp_path: Path, how: list[str]) -> None:
    run = Run(tmp_path, "test_outcomes.py", *how).end(1)
    assert run.last() == counts(total=16, done=16, failed=7, skipped=3)
    # Of pytest's errors one belongs to a test that passed, one to a test that failed, and one to a test that was not
    # called. One of its xfailed ones was not run.
    assert run.reported() == {
        "failed": 5,
        "passed": 5,
        "skipped": 2,
        "xfailed": 2,
        "xpassed": 1,
        "warning": 1,
        "error": 3,
    }
    assert any(line["current"] for line in run.progress())
    title = f"test_has_a_long_title{'_and' * 200}"[:499] + "…"
    assert run.failing() == {
        "TestCheckout::test_pays",
        "test_ships[fr]",
        "test_passes_although_it_must_fail",
        "test_needs_a_database",
        "test_passes_but_its_server_does_not_stop",
        "test_fails_and_its_server_does_not_stop",
        title,
    }
    told = {failure["title"]: failure for failure in run.failures()}
    assert told["TestCheckout::test_pays"] == {
        "title": "TestCheckout::test_pays",
        "file": "test_outcomes.py",
        "line": 9,
        "message": "assert 3 == 4",
    }
    assert told["test_needs_a_database"]["message"] == "ConnectionError: no database"
    assert told["test_passes_although_it_must_fail"]["message"] == "[XPASS(strict)]"
    assert told["test_fails_and_its_server_does_not_stop"]["message"] == "ValueError: first"
    message = told["test_passes_but_its_server_does_not_stop"]["message"]
    assert message.startswith("RuntimeError: red 😀")
    assert len(message) == 2000


@both
def test_a_rerun_that_passes_takes_the_failure_back(tmp_path: Path, how: list[str]) -> None:
    run = Run(tmp_path, "test_flaky.py", "--reruns=2", *how).end(1)
    assert run.last() == counts(total=4, done=4, failed=1, flaky=2)
    assert run.failing() == {"test_never_passes"}
    flaky = [failure for failure in run.failures() if failure["title"] == "test_passes_at_the_second_try"]
    assert [failure.get("retracted", False) for failure in flaky] == [False, True]
    assert (tmp_path / "never").read_text() == "..."


def test_reruns_of_a_test_whose_worker_crashes(tmp_path: Path) -> None:
    run = Run(tmp_path, "test_crash.py", "--reruns=1", *WORKERS).end(1)
    assert run.last() == counts(total=3, done=3, failed=1)
    assert run.failing() == {"test_takes_its_process_along"}


def test_a_worker_that_crashes_fails_its_test(tmp_path: Path) -> None:
    run = Run(tmp_path, "test_crash.py", "-p", "no:rerunfailures", *WORKERS).end(1)
    assert run.last() == counts(total=3, done=3, failed=1)
    assert "crashed while running" in run.failures()[0]["message"]


def test_each_worker_runs_all_tests(tmp_path: Path) -> None:
    run = Run(tmp_path, "test_many.py", "--tx=2*popen", "--dist=each").end(0)
    assert run.last() == counts(total=400, done=400)


@both
def test_a_file_that_cannot_be_collected_is_a_failure(tmp_path: Path, how: list[str]) -> None:
    run = Run(tmp_path, "test_broken.py", "test_elsewhere.py", "test_many.py", *how).end(2 if how is ALONE else 1)
    # With xdist the others run all the same.
    assert run.last() == counts(total=202, done=2 if how is ALONE else 202, failed=1, skipped=1)
    assert run.failures() == [
        {
            "title": "test_broken.py",
            "file": "test_broken.py",
            "message": run.failures()[0]["message"],
        }
    ]
    assert "No module named 'nowhere'" in run.failures()[0]["message"]


def test_the_others_run_if_they_may(tmp_path: Path) -> None:
    args = ["test_broken.py", "test_outcomes.py", "--continue-on-collection-errors"]
    run = Run(tmp_path, *args, *ALONE).end(1)
    assert run.last() == counts(total=17, done=17, failed=8, skipped=3)


@both
def test_what_does_not_run_because_of_x_is_not_done(tmp_path: Path, how: list[str]) -> None:
    run = Run(tmp_path, "test_outcomes.py", "-x", *how).end(1 if how is ALONE else 2)
    last = run.last()
    assert last["total"] == 16
    assert last["failed"] >= 1
    assert last["done"] < 16
    if how is ALONE:
        assert last == counts(total=16, done=1, failed=1)


def test_what_is_deselected_is_not_counted(tmp_path: Path) -> None:
    run = Run(tmp_path, "test_outcomes.py", "-k", "basket or ships", *ALONE).end(1)
    assert run.last() == counts(total=4, done=4, failed=1)


@both
def test_lines_are_few_however_many_tests_there_are(tmp_path: Path, how: list[str]) -> None:
    run = Run(tmp_path, "test_many.py", *how).end(0)
    assert run.last() == counts(total=200, done=200)
    assert len(run.progress()) < 100


def test_outside_of_estop_it_does_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, "test_flaky.py", *ALONE, ESTOP_PROGRESS=None, ESTOP_STOP=None).end(1)
    assert run.lines() == []
    assert "stopped by" not in run.stdout
    assert run.stderr == ""


def test_it_starts_no_thread(tmp_path: Path) -> None:
    run = Run(tmp_path, "test_forks.py", *ALONE).end(0)
    assert run.last() == counts(total=1, done=1)


def test_collect_only_does_nothing(tmp_path: Path) -> None:
    assert Run(tmp_path, "test_many.py", "--collect-only", "-q", *ALONE).end(0).lines() == []


@both
def test_a_file_that_cannot_be_written_does_not_fail_the_tests(tmp_path: Path, how: list[str]) -> None:
    run = Run(tmp_path, "test_many.py", *how, ESTOP_PROGRESS=str(tmp_path / "missing")).end(0)
    assert run.stderr.startswith("estop: progress cannot be reported, the tests go on without (")
    assert run.stderr.count("\n") == 1
    assert not (tmp_path / "missing").exists()


@both
def test_a_run_that_is_stopped_says_last_who_stopped_it_and_why(tmp_path: Path, how: list[str]) -> None:
    run = Run(tmp_path, "test_slow.py", *how)
    run.until("the slow test begins", (tmp_path / "slow").exists)
    quick = 1 if how is ALONE else 2
    run.until("the quick ones are done", lambda: run.last()["done"] == quick)
    if how is ALONE:
        run.until("its title is told", lambda: run.last().get("current") == "test_the_payment_takes_its_time")
    stop = {
        "by": "ada@example.com",
        "reason": "wrong\x1b[31m\nbranch\x07",
        "cause": "user",
        "at": "2026-11-30T09:30:00Z",
    }
    run.stop_file.write_text(json.dumps(stop))
    run.signal(signal.SIGINT)
    run.end(2)
    assert run.stdout.rstrip().splitlines()[-1] == "stopped by ada@example.com: wrong branch"
    assert run.last() == counts(total=3, done=quick)
    assert run.failures() == []


def test_who_stopped_the_run_as_the_file_says_it(tmp_path: Path) -> None:
    path = tmp_path / "stop.json"

    def said(text: str) -> str | None:
        path.write_text(text)
        return stopped_by(str(path))

    assert said('{"by":"ada@example.com","reason":null,"cause":"user"}') == "stopped by ada@example.com"
    assert said('{"by":"system:fail-fast","reason":"3 tests failed"}') == "stopped by system:fail-fast: 3 tests failed"
    assert said('{"by":"ada","reason":"\\u001b[2J\\r\\n::error::x"}') == "stopped by ada: ::error::x"
    for odd in ("", '{"by":"ad', "null", "[]", '{"by":7}'):
        assert said(odd) is None
    assert stopped_by(str(tmp_path / "missing.json")) is None


def test_the_pace_is_two_lines_a_second_with_twenty_seconds_saved() -> None:
    now = 100.0
    pace = Pace(clock=lambda: now)
    assert sum(pace.allows() for _ in range(100)) == 40
    now += 0.4
    assert not pace.allows()
    now += 0.1
    assert pace.allows()
    assert not pace.allows()
    # A clock that was set back, or stands still, lets nothing through that would not go otherwise.
    now -= 50
    assert not pace.allows()
    now += 5
    assert sum(pace.allows() for _ in range(100)) == 10
    now += 3600
    assert sum(pace.allows() for _ in range(100)) == 40


def test_of_a_thousand_failures_each_is_told_of_and_of_more_only_the_counts(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    path.touch()
    failures = Failures(ProgressFile(str(path)))
    for number in range(1, 1501):
        failures.add(f"test_{number}", "test_a.py", None, "")
    assert failures.full
    failures.retract("test_7", "test_a.py")
    failures.retract("test_1200", "test_a.py")
    lines = path.read_text().splitlines()
    assert len(lines) == 1001
    assert lines[999] == '{"failure":{"title":"test_1000","file":"test_a.py","message":""}}'
    assert lines[1000] == '{"failure":{"title":"test_7","file":"test_a.py","retracted":true}}'


def test_the_plugin_is_installed_from_its_wheel() -> None:
    import pytest_estop

    folder = Path(pytest_estop.__file__).parent
    assert folder.is_relative_to(sys.prefix)
    files = {path.name for path in folder.iterdir() if path.name != "__pycache__"}
    assert files == {
        *("__init__.py", "failures.py", "plugin.py", "progress.py", "py.typed", "report.py", "stop.py"),
        *("tally.py", "text.py"),
    }
