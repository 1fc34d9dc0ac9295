"""The command line: parse, call one engine, print, exit code.

Each command lives in a module of its own and is imported when it is called,
so that `harness --help` needs neither TensorFlow nor MLflow.
"""

import os
import signal
import sys
from typing import ClassVar

import click

from harness import __version__
from harness.cli.lazy import LazyGroup
from harness.cli.net import exit_code_of, tell_of_threads
from harness.cli.table import ENTRIES, SECTIONS
from harness.numerics.keras_pins import pin_keras
from harness.system.folders import not_for_everybody
from harness.system.proxies import without_proxies
from harness.system.signal_thread import signal_thread
from harness.system.signals import STOPPING, handled, heeded, raise_stopped
from harness.system.streams import exit_code_of_answer, outliving_readers


class Commands(LazyGroup):
    """Every command of the harness, by the table; its help page imports none of them."""

    lazy: ClassVar[dict[str, str]] = {name: entry.target for name, entry in ENTRIES.items()}

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command with its examples; None for an unknown name."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and cmd_name in ENTRIES:
            lines = [f"  harness {example}" for example in ENTRIES[cmd_name].examples]
            command.epilog = "\n".join(["\b", "Examples:", *lines])
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by subject, each with its whole summary."""
        present = set(self.list_commands(ctx))
        for title, section in SECTIONS.items():
            rows = [(name, entry.summary) for name, entry in section.items() if name in present]
            with formatter.section(title):
                formatter.write_dl(rows)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harness")
def harness() -> None:
    """Does this ResNet result reproduce, and how fast?

    `harness COMMAND --help` says more, with examples.
    """


def main() -> None:
    """Console entry point: whatever happens becomes words and an exit code."""
    tell_of_threads()
    code = answer()
    for number in heeded():  # what is done is done; the process only ends
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def answer() -> int:
    """Run the command line of this process; returns its exit code.

    Signals stop any command, streams outlive their readers, Keras and proxies are set
    before anything is imported that looks at them.
    """
    streams = outliving_readers()
    with streams, not_for_everybody(), signal_thread(STOPPING), handled(raise_stopped):
        code = exit_code_of(_command)
        code, words = exit_code_of_answer(code)
        if words:
            click.echo(f"harness: {words}", err=True)
    return code


def _command() -> object:
    pin_keras()
    os.environ.update(without_proxies(os.environ))
    return harness.main(prog_name="harness", standalone_mode=False)
