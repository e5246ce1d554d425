"""Real runs of pytest with the plugin, which scripts/reporter-tests has installed from its wheel."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent / "project"


def hear_sigint() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Run:
    """One run. Variables are added to the environment, or taken from it."""

    def __init__(self, out: Path, *args: str, **variables: str | None) -> None:
        self.out = out
        self.progress_file = out / "progress.jsonl"
        self.progress_file.touch()
        self.stop_file = out / "stop.json"
        environment: dict[str, str | None] = {
            **os.environ,
            "FIXTURE_OUT": str(out),
            "ESTOP_PROGRESS": str(self.progress_file),
            "ESTOP_STOP": str(self.stop_file),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_ADDOPTS": None,
            "PY_COLORS": "0",
            # These tests may be run by workers themselves.
            "PYTEST_XDIST_WORKER": None,
            "PYTEST_XDIST_WORKER_COUNT": None,
            "PYTEST_XDIST_TESTRUNUID": None,
            **variables,
        }
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *args],
            cwd=PROJECT,
            env={name: value for name, value in environment.items() if value is not None},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A process group of its own, as under `estop run`.
            start_new_session=True,
            # Whoever starts these tests in the background of a script has them ignore it, and what they start.
            preexec_fn=hear_sigint,
        )

    def signal(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)

    def end(self, code: int) -> Run:
        """Waits for the end, and holds every line to what all of them have in common."""
        try:
            self.stdout, self.stderr = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            raise
        assert self.process.returncode == code, self.stdout + self.stderr
        assert "INTERNALERROR" not in self.stdout + self.stderr
        done = 0
        for counts in self.progress():
            numbers = [counts[name] for name in ("total", "done", "failed", "flaky", "skipped")]
            assert all(type(number) is int and number >= 0 for number in numbers), counts
            assert counts["failed"] + counts["flaky"] + counts["skipped"] <= counts["done"] <= counts["total"], counts
            assert counts["done"] >= done, counts
            done = counts["done"]
        seconds = time.monotonic() - self.began
        assert len(self.progress()) <= 40 + 2 * seconds + 2 * len(self.failures()) + 4
        return self

    def lines(self) -> list[dict[str, Any]]:
        text = self.progress_file.read_bytes()
        assert text == b"" or text.endswith(b"\n")
        lines = text.split(b"\n")[:-1]
        assert all(len(line) < 64 * 1024 for line in lines)
        return [json.loads(line) for line in lines]

    def progress(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if "failure" not in line]

    def failures(self) -> list[dict[str, Any]]:
        return [line["failure"] for line in self.lines() if "failure" in line]

    def failing(self) -> set[str]:
        """Titles of what has failed and was not taken back."""
        failing: set[str] = set()
        for failure in self.failures():
            if failure.get("retracted"):
                failing.remove(failure["title"])
            else:
                assert failure["title"] not in failing
                failing.add(failure["title"])
        return failing

    def last(self) -> dict[str, Any]:
        return self.progress()[-1]

    def reported(self) -> dict[str, int]:
        """How many there are of what, by the last line of pytest's own report."""
        last = [line for line in self.stdout.splitlines() if re.search(r" in [0-9.]+s", line)][-1]
        return {word.rstrip("s"): int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", last)}

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline, f"{what}, in 30 s"
            time.sleep(0.02)
