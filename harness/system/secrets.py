"""Passwords and tokens out of every text that is recorded or shown.

By pattern: user and password of an address, tokens in its query, headers that
authorise. By value: what the environment, the command line and the files of a
tracker's accounts hold as secrets, also as a header has them.
"""

import base64
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from harness.system.accounts import Account, accounts_of

HIDDEN = "***"
SHORTEST = 6
"""A shorter value is found in too many innocent words."""

NAMES = r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY"
SECRET_NAME = re.compile(rf"{NAMES}|_PWD$|^PGPASS", re.IGNORECASE)
"""Environment variables whose values are secrets."""

_SCHEME = r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]{0,30}://)"
_USERINFO = re.compile(rf"{_SCHEME}[^\s\"'<>\\/?#]*@")
_SLASH_IN_PASSWORD = re.compile(rf"{_SCHEME}[^\s\"'<>\\/?#@:\[]*:(?!\d*(?:[/?#]|$))[^\s\"'<>\\]*@")
"""`user:pa/ss@host`, which is malformed; a host's port has digits alone."""
_QUERY = re.compile(
    r"(?P<key>[?&;](?:[A-Za-z0-9_.-]*(?:token|secret|passw(?:or)?d|passphrase|pwd|signature|"
    r"credential|api_?key|access_?key)|sig|key|auth)=)[^&;#\s\"'<>\\]+",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"(?P<key>\bAuthorization\\?[\"']?\s*[:=]\s*\\?[\"']?(?:(?:Basic|Bearer|Token|Digest)\s+)?)"
    r"(?!(?:Basic|Bearer|Token|Digest)\b)[A-Za-z0-9+/=_.~-]{4,}",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?P<key>\b(?:Bearer|Basic)\s+)[A-Za-z0-9+/=_.~-]{8,}")
_ASSIGNED = re.compile(
    rf"(?P<key>\b[A-Za-z_]*(?:{NAMES})(?:\s*=\s*|\\?[\"']\s*:\s*)\\?[\"']?)"
    r"(?!None\b|null\b)[^\s,;&\"'<>\\)]+",
    re.IGNORECASE,
)


def without_credentials(text: str) -> str:
    """`text` with what looks like a password or token replaced by `***`; by pattern alone."""
    if "://" in text:
        text = _USERINFO.sub(rf"\g<scheme>{HIDDEN}@", text)
        text = _SLASH_IN_PASSWORD.sub(rf"\g<scheme>{HIDDEN}@", text)
    if "=" in text:
        text = _QUERY.sub(rf"\g<key>{HIDDEN}", text)
    text = _HEADER.sub(rf"\g<key>{HIDDEN}", text)
    text = _BEARER.sub(rf"\g<key>{HIDDEN}", text)
    return _ASSIGNED.sub(rf"\g<key>{HIDDEN}", text)


def redacted(text: str) -> str:
    """`text` without credentials and without the values of this process's secrets."""
    text = without_credentials(text)
    for value in process_secrets(os.environ, sys.argv):
        if value in text:
            text = text.replace(value, HIDDEN)
    return text


def redacted_deep(value: Any) -> Any:
    """The same for every string in nested tuples, lists and dictionaries; keys stay."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {key: redacted_deep(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(redacted_deep(inner) for inner in value)
    return value


def process_secrets(environ: Mapping[str, str], words: Sequence[str]) -> tuple[str, ...]:
    """Secret values in every form in which they are written, the longest first.

    Args:
        environ: Variables by name.
        words: The command line.
    """
    found = {value for name, value in environ.items() if SECRET_NAME.search(name)}
    for user, password in (*accounts_of(environ), *_accounts_in(*environ.values(), *words)):
        found.update((password, unquote(password)))
        if user and password:
            pair = f"{unquote(user)}:{unquote(password)}"
            found.update((f"{user}:{password}@", base64.b64encode(pair.encode()).decode()))
    long = [value for value in found if len(value) >= SHORTEST]
    return tuple(sorted({form for value in long for form in _forms(value)}, key=len, reverse=True))


def _accounts_in(*texts: str) -> Iterator[Account]:
    """User and password of addresses that are a word or variable of their own."""
    for text in texts:
        if "@" not in text or "://" not in text:
            continue
        for match in re.finditer(rf"{_SCHEME}(?P<userinfo>[^/?#]*)@", text):
            user, _, password = match["userinfo"].partition(":")
            yield user, password


def _forms(value: str) -> Iterator[str]:
    yield value
    yield quote(value, safe="")
    yield quote_plus(value)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
