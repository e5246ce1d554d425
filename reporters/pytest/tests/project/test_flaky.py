import os
from pathlib import Path

import pytest


def attempts(name):
    with Path(os.environ["FIXTURE_OUT"], name).open("a+") as file:
        file.write(".")
        file.seek(0)
        return len(file.read())


def test_passes_at_the_second_try():
    assert attempts("call") == 2


@pytest.fixture
def server():
    assert attempts("setup") >= 2
    yield
    assert attempts("teardown") == 2


def test_has_a_server_that_starts_and_stops_at_the_second_try(server):
    pass


def test_never_passes():
    attempts("never")
    raise AssertionError("never")


def test_passes_at_once():
    pass
