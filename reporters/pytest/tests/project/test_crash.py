import os


def test_before():
    pass


def test_takes_its_process_along():
    os._exit(1)


def test_after():
    pass
