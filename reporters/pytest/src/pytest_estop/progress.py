"""The file that `ESTOP_PROGRESS` names: `estop run` made it, and reads the lines of JSON that are appended."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any


class ProgressFile:
    """One write a line, as other processes may append, too. A file that cannot be written must not fail the tests."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._failed = False

    def append(self, line: dict[str, Any]) -> None:
        if self._failed:
            return
        # Half a character, as in the name of a file that is not UTF-8, becomes a question mark.
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
        try:
            # Without O_CREAT: if the file is gone, nobody reads it any more.
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
            try:
                written = os.write(file, data)
            finally:
                os.close(file)
            if written < len(data):
                raise OSError(f"{written} of {len(data)} bytes were written")
        except OSError as error:
            self.give_up(error)

    def give_up(self, error: Exception) -> None:
        """Says why, once, and writes nothing more."""
        if not self._failed:
            self._failed = True
            print(f"estop: progress cannot be reported, the tests go on without ({error})", file=sys.stderr)


class Pace:
    """
    Two lines a second, so that the file grows with time and not with the number of tests.

    What waits is written with the next event. A timer would need a thread beside the tests, and tests can tell: they
    count threads, and they fork. So that a long test after some short ones is told of nonetheless, 20 seconds' worth of
    lines may come at once.
    """

    _SECONDS_A_LINE = 0.5
    _AT_ONCE = 40

    # The clock is bound here, where libraries that freeze time for a test do not look for it.
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()
        self._saved = float(self._AT_ONCE)

    def allows(self) -> bool:
        """Whether a line may be written now. It is taken as written."""
        now = self._clock()
        self._saved = min(self._AT_ONCE, self._saved + max(0.0, now - self._last) / self._SECONDS_A_LINE)
        self._last = now
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
