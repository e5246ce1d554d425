"""The plugin, as pytest loads it. Outside of `estop run` it does nothing."""

from __future__ import annotations

import os

import pytest

from .progress import ProgressFile
from .stop import stopped_by
from .tally import Tally


def pytest_configure(config: pytest.Config) -> None:
    # A worker of pytest-xdist leaves it to the process that started it.
    if hasattr(config, "workerinput") or config.getoption("collectonly"):
        return
    if path := os.environ.get("ESTOP_PROGRESS"):
        config.pluginmanager.register(Tally(config, ProgressFile(path)), "estop-tally")
    if path := os.environ.get("ESTOP_STOP"):
        config.pluginmanager.register(StopLine(config, path), "estop-stop-line")


class StopLine:
    """The last line of the report."""

    def __init__(self, config: pytest.Config, path: str) -> None:
        self._config = config
        self._path = path

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        line = stopped_by(self._path)
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if line and terminal:
            terminal.ensure_newline()
            terminal.write_line(line)
