"""The table of commands: quick, whole, with examples that the commands take."""

import shlex
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from harness.cli import main as cli
from harness.cli.table import ENTRIES, SECTIONS

CASES = [(name, example) for name, entry in ENTRIES.items() for example in entry.examples]


def test_the_help_page_imports_no_command() -> None:
    code = (
        "import sys; from harness.cli.main import harness\n"
        "try: harness(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'pydantic', 'mlflow', 'tensorflow'} & set(sys.modules)\n"
        "sys.exit(' '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_summary_is_whole_and_in_its_section() -> None:
    page = CliRunner().invoke(cli.harness, ["--help"]).output
    assert "..." not in page.partition("[ARGS]...")[2]
    for title, section in SECTIONS.items():
        assert f"\n{title}:\n" in page
        for name, entry in section.items():
            assert any(
                line.split(maxsplit=1) == [name, entry.summary] for line in page.splitlines()
            )


@pytest.mark.parametrize(("name", "example"), CASES, ids=[example for _, example in CASES])
def test_each_example_is_on_its_page_and_the_command_takes_its_words(
    name: str, example: str
) -> None:
    words = shlex.split(example.partition(" > ")[0])
    assert words[0] == name
    command: click.Command = cli.harness
    while words and isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None
        command, words = found, words[1:]
    context = click.Context(command)
    values, left, _order = command.make_parser(context).parse_args(words)
    assert not left
    assert all(values[param.name or ""] is not None for param in command.params if param.required)
    page = CliRunner().invoke(cli.harness, [name, "--help"], terminal_width=200)
    assert f"\n    harness {example}\n" in f"{page.output}\n"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["verdcit"], "Did you mean verdict"),
        (["repot"], "Did you mean report"),
        (["bench", "stpe"], "Did you mean step?"),
        (["xyzzy"], "No such command 'xyzzy'.\n"),
    ],
)
def test_a_wrong_command_is_told_with_the_nearest(words: list[str], meant: str) -> None:
    done = CliRunner().invoke(cli.harness, words)
    assert done.exit_code == 2
    assert meant in done.output
