"""What there is to read in pytest's reports."""

from __future__ import annotations

from pathlib import Path
from typing import Union

from pytest import CollectReport, TestReport

from .text import lines, one_line

Report = Union[CollectReport, TestReport]

_LONGEST_TITLE = 500
_LONGEST_FILE = 500
_LONGEST_MESSAGE = 2000


def title_of(nodeid: str) -> str:
    """A test's node id without its file, or all of it where there is nothing else."""
    file, _, rest = nodeid.partition("::")
    return one_line(rest or file or "collection", _LONGEST_TITLE)


def file_of(nodeid: str) -> str:
    """Relative to pytest's root directory, as in the node id."""
    return one_line(nodeid.partition("::")[0], _LONGEST_FILE)


def line_of(report: Report, root: Path) -> int | None:
    """Where it failed, if that is in the test's file; else where the test begins."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None and root / crash.path == root / report.nodeid.partition("::")[0]:
        return int(crash.lineno)
    line = report.location[1] if isinstance(report, TestReport) else None
    return None if line is None else line + 1


def message_of(report: Report) -> str:
    """What a person reads first: the error, without the traceback."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return lines(str(crash.message), _LONGEST_MESSAGE)
    # Not `longreprtext`, in which pytest-xdist's worker comes first.
    text = str(report.longrepr)
    # pytest marks the error's own lines with an E.
    errors = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    return lines("\n".join(errors) or text, _LONGEST_MESSAGE)


def failed_as_expected(report: TestReport) -> bool:
    """An xfail that did fail. One that was not even run (`run=False`) is only skipped."""
    reason = getattr(report, "wasxfail", None)
    return report.skipped and isinstance(reason, str) and "[NOTRUN]" not in reason
