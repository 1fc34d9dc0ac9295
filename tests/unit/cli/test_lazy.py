"""Every name of a table of commands is a command; a wrong one is no silence."""

from typing import ClassVar

import click
import pytest

from harness.cli.lazy import LazyGroup
from harness.cli.main import Commands
from harness.cli.speed.bench import Benchmarks

COMMANDS = [(group, name) for group in (Commands, Benchmarks) for name in group.lazy]


@pytest.mark.parametrize(("group", "name"), COMMANDS)
def test_every_name_of_the_table_is_a_command(group: type[LazyGroup], name: str) -> None:
    command = group().get_command(click.Context(group()), name)
    assert command is not None
    assert command.get_short_help_str()


def test_a_name_without_a_module_is_listed_and_fails() -> None:
    class Wrong(LazyGroup):
        lazy: ClassVar[dict[str, str]] = {"lost": "harness.cli.no_such_module:command"}

    group = Wrong()
    context = click.Context(group)
    assert group.list_commands(context) == ["lost"]
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        group.get_command(context, "lost")


def test_a_name_of_no_table_is_no_command() -> None:
    assert Commands().get_command(click.Context(Commands()), "lost") is None
