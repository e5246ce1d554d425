"""The tests that have failed and not passed since."""

from __future__ import annotations

from typing import Any

from .progress import ProgressFile

# From then on only the counts tell of more: nobody reads so long a list, and the file must not grow without end.
_MOST_FAILURES = 1000


class Failures:
    """Tells of failures, each once, and takes them back."""

    def __init__(self, file: ProgressFile) -> None:
        self._file = file
        # How many fail, by title and file, as a test that is collected twice has the same.
        self._failing: dict[tuple[str, str], int] = {}
        self._told = 0

    @property
    def full(self) -> bool:
        return self._told >= _MOST_FAILURES

    def add(self, title: str, file: str, line: int | None, message: str) -> None:
        key = (title, file)
        if key in self._failing:
            self._failing[key] += 1
        elif not self.full:
            self._told += 1
            self._failing[key] = 1
            failure: dict[str, Any] = {"title": title, "file": file, "message": message}
            if line is not None:
                failure["line"] = line
            self._file.append({"failure": failure})

    def retract(self, title: str, file: str) -> None:
        """It has passed."""
        key = (title, file)
        if key not in self._failing:
            return
        self._failing[key] -= 1
        if self._failing[key] == 0:
            del self._failing[key]
            self._file.append({"failure": {"title": title, "file": file, "retracted": True}})
