"""Users with passwords that a tracker's client finds by itself, in files of the home folder."""

import configparser
import netrc
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

Account = tuple[str, str]
"""User and password."""


def accounts_of(environ: Mapping[str, str]) -> tuple[Account, ...]:
    """The accounts of MLflow's variables and file, and those that `requests` takes from `.netrc`.

    Args:
        environ: Variables by name; HOME names the folder of the files.
    """
    named = environ.get("MLFLOW_TRACKING_USERNAME", ""), environ.get("MLFLOW_TRACKING_PASSWORD", "")
    return (named, *_of_files(environ.get("HOME", ""), environ.get("NETRC", "")))


@cache
def _of_files(home: str, named: str) -> tuple[Account, ...]:
    found: list[Account] = []
    for file in (named, *(home and f"{home}/{name}" for name in (".netrc", "_netrc"))):
        found += _of_netrc(file)
    return (*found, *_of_mlflow(f"{home}/.mlflow/credentials"))


def _of_netrc(file: str) -> Iterator[Account]:
    try:
        hosts = netrc.netrc(file).hosts if file and Path(file).is_file() else {}
    except (OSError, ValueError, netrc.NetrcParseError):
        return
    yield from ((user, password) for user, _, password in hosts.values())


def _of_mlflow(file: str) -> Iterator[Account]:
    settings = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        settings.read(file)
    except (OSError, ValueError, configparser.Error):
        return
    for name in settings.sections():
        section = settings[name]
        yield (
            section.get("mlflow_tracking_username", ""),
            section.get("mlflow_tracking_password", ""),
        )
