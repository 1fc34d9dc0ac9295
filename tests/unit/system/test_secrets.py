"""Passwords and tokens leave no text; what looks like one and is none stays."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.system.secrets import process_secrets, redacted, redacted_deep, without_credentials

PASSWORD = "Tr0ub4dor&3/x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://u:p@h:5000/x", "http://***@h:5000/x"),
        ("at http://me@h and https://a:b@c/d", "at http://***@h and https://***@c/d"),
        ("postgresql+psycopg2://u:p%40x@h/db?password=abc&ssl=on",
         "postgresql+psycopg2://***@h/db?password=***&ssl=on"),
        ("http://user:pa/ss@host/p", "http://***@host/p"),
        ("https://h/x?token=abc&b=1", "https://h/x?token=***&b=1"),
        ("https://h/x?b=1&amp;access_token=abc", "https://h/x?b=1&amp;access_token=***"),
        ("s3://b/k?X-Amz-Signature=0a&X-Amz-Credential=me%2Fx",
         "s3://b/k?X-Amz-Signature=***&X-Amz-Credential=***"),
        ("https://b.blob/x?sv=1&sig=abc%3D", "https://b.blob/x?sv=1&sig=***"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ***"),
        ("{'Authorization': 'Bearer abc.def-ghi'}", "{'Authorization': 'Bearer ***'}"),
        ("MLFLOW_TRACKING_PASSWORD=hunter22 x", "MLFLOW_TRACKING_PASSWORD=*** x"),
        ('{"api_key": "xyz", "b": 1}', '{"api_key": "***", "b": 1}'),
        ("host=h password = secret dbname=x", "host=h password = *** dbname=x"),
    ],
)  # fmt: skip
def test_by_pattern(text: str, shown: str) -> None:
    assert without_credentials(text) == shown
    assert without_credentials(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:5000/a@b", "sqlite:////home/a@b/mlflow.db", "http://[::1]:5000/",
        "somebody@example.org", "http://h:5000?x=a@b", '"tokens": 5', "step_0=3",
        "refuses the user or the password (MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD)",
        "the password: the server's own words", "password=None", "runs/a/b", "",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_credentials(text) == text


def test_by_value_in_every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    quoted = "Tr0ub4dor%263%2Fx"
    for form in (PASSWORD, quoted, json.dumps(f'"{PASSWORD}"')):
        assert "Tr0ub4dor" not in redacted(f"before {form} after")
    assert redacted_deep({"a": (PASSWORD, 1), "b": [{"c": PASSWORD}]}) == {
        "a": ("***", 1),
        "b": [{"c": "***"}],
    }


def test_a_password_of_the_command_line_is_known_by_itself() -> None:
    found = process_secrets({}, ["run", "--tracking-uri", "http://me:s%40crets@h:5000"])
    assert {"s%40crets", "s@crets"} <= set(found)
    assert process_secrets({"A": "x", "B_TOKEN": "short"}, ["run"]) == ()


def test_an_account_in_a_file_is_known_as_a_server_may_repeat_it(tmp_path: Path) -> None:
    """`requests` and MLflow's client read these files by themselves."""
    (tmp_path / ".netrc").write_text("machine h login me password from-netrc\n")
    (tmp_path / "other").write_text("machine h login me password from-named\n")
    (tmp_path / "_netrc").write_text("machine h login me password\n")
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text(
        "[mlflow]\nmlflow_tracking_username = me\nmlflow_tracking_password = 100%_mine\n"
    )
    environ = {
        "HOME": str(tmp_path),
        "NETRC": str(tmp_path / "other"),
        "MLFLOW_TRACKING_USERNAME": "me",
        "MLFLOW_TRACKING_PASSWORD": "from-variable",
        "SOME_URI": "http://me:from%2Duri@h",
    }
    found = process_secrets(environ, [])
    for word in ("from-netrc", "from-named", "100%_mine", "from-variable", "from-uri"):
        assert word in found
        assert base64.b64encode(f"me:{word}".encode()).decode() in found


@pytest.mark.parametrize("content", [b"", b"machine", b"[mlflow", b"\xff\xfe\x00", b"a = 1\n"])
def test_a_file_that_holds_no_account_is_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".netrc").write_bytes(content)
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_bytes(content)
    assert process_secrets({"HOME": str(tmp_path)}, []) == ()


LETTERS = st.characters(exclude_characters="@/?#", exclude_categories=["Cs", "Cc"])


@settings(deadline=None)
@given(user=st.text(LETTERS), password=st.text(LETTERS, min_size=8), around=st.text(max_size=5))
def test_no_password_of_an_address_comes_through(user: str, password: str, around: str) -> None:
    address = f"https://{user}:{password}@host.example:5000/path"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["harness", "--tracking-uri", address])
        shown = redacted(f"{around} {address} {around}")
        assert f"{password}@" not in shown
        if password not in around * 2 + "https://***@host.example:5000/path ":
            assert password not in shown
