"""The command line: parse, call one workflow, print, exit code.

Each command lives in a module of its own and is imported when it is called,
so that `harness --help` needs neither TensorFlow nor MLflow.
"""

import sys
from typing import Any, ClassVar

import click

from harness import __version__
from harness.cli.lazy import LazyGroup
from harness.errors import HarnessError, PreemptedError


class Commands(LazyGroup):
    """Every command of the harness with the object that implements it."""

    lazy: ClassVar[dict[str, str]] = {
        "smoke": "harness.cli.train.smoke:command",
        "reproduce": "harness.cli.train.reproduce:command",
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
        "mllog": "harness.cli.judge.mllog:command",
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

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; Ctrl-C is an interruption, and never the 1 of a difference found."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise PreemptedError(
                "interrupted from the keyboard",
                expected="time to end; nothing half-written is used",
                remedy="give the same command again",
            ) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harness")
def harness() -> None:
    """Does this ResNet result reproduce, and how fast?"""


def main() -> None:
    """Console entry point: every `HarnessError` becomes its text and exit code."""
    try:
        harness()
    except HarnessError as error:
        click.echo(f"harness: {error}", err=True)
        sys.exit(error.exit_code)
