import warnings
from pathlib import Path

import pytest


class TestCheckout:
    def test_pays(self):
        assert 3 == 4

    def test_shows_the_basket(self):
        pass


@pytest.mark.parametrize("country", ["de", "fr", "it"])
def test_ships(country):
    assert country != "fr"


@pytest.mark.skip(reason="not here")
def test_is_skipped():
    raise AssertionError


def test_skips_itself():
    pytest.skip("not now")


@pytest.mark.xfail
def test_fails_as_expected():
    raise AssertionError


@pytest.mark.xfail(run=False)
def test_is_not_even_run():
    raise AssertionError


@pytest.mark.xfail
def test_passes_although_it_may_fail():
    pass


@pytest.mark.xfail(strict=True)
def test_passes_although_it_must_fail():
    pass


@pytest.fixture
def database():
    raise ConnectionError("no database")


def test_needs_a_database(database):
    pass


@pytest.fixture
def server():
    yield
    raise RuntimeError("\x1b[31mred\x1b[39m\x07 " + "😀" * 3000)


def test_passes_but_its_server_does_not_stop(server):
    pass


def test_fails_and_its_server_does_not_stop(server):
    raise ValueError("first")


def fails():
    raise ValueError("long")


globals()["test_has_a_long_title" + "_and" * 200] = fails


def test_tells_of_a_warning():
    warnings.warn("careful", stacklevel=1)
    assert Path("/").exists()
