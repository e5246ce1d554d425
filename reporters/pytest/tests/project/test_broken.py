import nowhere  # noqa: F401


def test_is_never_collected():
    pass
