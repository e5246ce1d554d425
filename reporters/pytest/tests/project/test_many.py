import pytest


@pytest.mark.parametrize("number", range(200))
def test_number(number):
    pass
