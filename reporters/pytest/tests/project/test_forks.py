import threading


def test_is_alone():
    assert threading.active_count() == 1
