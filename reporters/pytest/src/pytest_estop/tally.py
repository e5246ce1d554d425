"""What has become of the tests so far."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from .failures import Failures
from .progress import Pace, ProgressFile
from .report import Report, failed_as_expected, file_of, line_of, message_of, title_of

_Hook = TypeVar("_Hook", bound=Callable[..., None])


def _never_breaks_the_tests(hook: _Hook) -> _Hook:
    """An exception in a hook would end pytest with an INTERNALERROR, as for a report that another plugin made up."""

    @functools.wraps(hook)
    def guarded(self: Tally, *args: Any, **kwargs: Any) -> None:
        try:
            hook(self, *args, **kwargs)
        except Exception as error:
            self.file.give_up(error)

    return guarded  # type: ignore[return-value]


@dataclass
class _Test:
    """A test over all its attempts."""

    told: bool = False
    """A failure line was written."""
    repeated: bool = False
    """An attempt failed, and another followed or will follow."""
    rerun: bool = False
    """This attempt failed, and another will follow."""
    failed: bool = False
    """In this attempt, in whichever phase."""
    passed: bool = False
    """In this attempt. It can fail yet, when it is torn down."""

    def begin(self) -> None:
        self.rerun = self.failed = self.passed = False

    def outcome(self) -> str:
        if self.failed:
            return "failed"
        if self.repeated:
            return "flaky"
        return "success" if self.passed else "skipped"


class Tally:
    """Hears of every test: pytest-xdist repeats its workers' reports to the process that started them."""

    def __init__(self, config: pytest.Config, file: ProgressFile) -> None:
        self.file = file
        self._root = config.rootpath
        # Each worker of `--dist each` runs all the tests.
        self._each = config.getoption("dist", "no") == "each"
        self._pace = Pace()
        self._failures = Failures(file)
        # Tests that were collected, by worker.
        self._collected: dict[str, int] = {}
        # Files that could not be collected, or skip themselves whole. Each counts as a test.
        self._files = 0
        self._counts = {"success": 0, "failed": 0, "flaky": 0, "skipped": 0}
        # Tests that have begun, by worker and node id.
        self._begun: dict[tuple[str, str], _Test] = {}
        # Titles of the tests that run, in the order in which they began.
        self._running: dict[str, str] = {}

    @_never_breaks_the_tests
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.passed:
            return
        self._files += 1
        self._counts["failed" if report.failed else "skipped"] += 1
        if report.failed:
            self._tell(report)
            self._write()

    @_never_breaks_the_tests
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._collected[""] = len(session.items)
        self._write()

    @pytest.hookimpl(optionalhook=True)
    @_never_breaks_the_tests
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        self._collected[node.gateway.id if self._each else ""] = len(ids)
        self._write()

    @_never_breaks_the_tests
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._running[nodeid] = title_of(nodeid)
        self._changed()

    @_never_breaks_the_tests
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        worker = report.node.gateway.id if self._each else ""  # type: ignore[attr-defined]
        key = (worker, report.nodeid)
        test = self._begun.setdefault(key, _Test())
        if report.when == "setup":
            test.begin()
        # What pytest-rerunfailures makes of a failure that it will try again.
        rerun = report.outcome == "rerun"  # type: ignore[comparison-overlap]
        if rerun:
            test.rerun = test.repeated = True
        elif report.failed:
            # After a rerun this is another attempt, whose worker has crashed before it could report more.
            test.failed, test.rerun = True, False
        elif failed_as_expected(report) or (report.passed and report.when == "call"):
            test.passed = True
        if (rerun or report.failed) and not test.told:
            test.told = True
            self._tell(report)
        if report.when in ("setup", "call"):
            return
        # Torn down, or else its worker has crashed.
        self._running.pop(report.nodeid, None)
        if not test.rerun:
            self._ends(report.nodeid, test)
            del self._begun[key]

    @_never_breaks_the_tests
    def pytest_sessionfinish(self) -> None:
        self._running.clear()
        self._write()

    def _ends(self, nodeid: str, test: _Test) -> None:
        outcome = test.outcome()
        self._counts[outcome] += 1
        if test.told and outcome != "failed":
            self._failures.retract(title_of(nodeid), file_of(nodeid))
        if outcome == "failed" and not self._failures.full:
            self._write()
        else:
            self._changed()

    def _tell(self, report: Report) -> None:
        """Tells of a failure at once."""
        self._failures.add(
            title_of(report.nodeid), file_of(report.nodeid), line_of(report, self._root), message_of(report)
        )

    def _changed(self) -> None:
        if self._pace.allows():
            self._write()

    def _write(self) -> None:
        done = sum(self._counts.values())
        line = {
            # A plugin that repeats tests behind pytest's back must not make it less than what is done.
            "total": max(sum(self._collected.values()) + self._files, done),
            "done": done,
            "failed": self._counts["failed"],
            "flaky": self._counts["flaky"],
            "skipped": self._counts["skipped"],
            "current": next(reversed(self._running.values()), ""),
        }
        self.file.append(line)
