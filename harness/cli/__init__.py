"""The command line: parse, call one workflow, print, exit code.

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
from harness.numerics.keras_pins import pin_keras
from harness.system.proxies import without_proxies
from harness.system.signals import handled, heeded, raise_stopped
from harness.system.streams import exit_code_of_answer, outliving_readers


class Commands(LazyGroup):
    """Every command of the harness with the object that implements it."""

    lazy: ClassVar[dict[str, str]] = {
        "smoke": "harness.cli.train.smoke:command",
        "reproduce": "harness.cli.train.reproduce:command",
        "doctor": "harness.cli.doctor:command",
        "prepare": "harness.cli.train.prepare:command",
        "run": "harness.cli.train.run:command",
        "evaluate": "harness.cli.weights.evaluate:command",
        "classify": "harness.cli.weights.classify:command",
        "export": "harness.cli.weights.export:command",
        "verdict": "harness.cli.judge.verdict:command",
        "compare": "harness.cli.judge.compare:command",
        "report": "harness.cli.judge.report:command",
        "bundle": "harness.cli.judge.bundle:command",
        "verify": "harness.cli.judge.verify:command",
        "sync": "harness.cli.judge.sync:command",
        "certify": "harness.cli.replay.certify:command",
        "diff": "harness.cli.replay.diff:command",
        "bench": "harness.cli.speed.bench:command",
        "gate": "harness.cli.speed.gate:command",
        "plan": "harness.cli.judge.plan:command",
        "study": "harness.cli.train.study:command",
        "status": "harness.cli.train.status:command",
        "list": "harness.cli.listing:command",
        "ui": "harness.cli.ui:command",
    }


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harness")
def harness() -> None:
    """Does this ResNet result reproduce, and how fast?"""


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
    pin_keras()
    os.environ.update(without_proxies(os.environ))
    with outliving_readers(), handled(raise_stopped):
        code = exit_code_of(lambda: harness.main(prog_name="harness", standalone_mode=False))
        code, words = exit_code_of_answer(code)
        if words:
            click.echo(f"harness: {words}", err=True)
    return code
