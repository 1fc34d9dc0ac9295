"""What holds for every test."""


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their length.

    An archive holds the time at which it was made, and the processes that share the tests
    compare the names that each of them collects.
    """
    return f"{len(val)} bytes" if isinstance(val, bytes) else None
