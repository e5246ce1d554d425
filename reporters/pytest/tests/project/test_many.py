import pytest


@pytest.mark.parametrize("number", range(300))
def test_number(number):
    pass
