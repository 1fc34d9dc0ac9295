"""How every benchmark prints: its figures, what they are, and the machine they hold for."""

import json
from collections.abc import Callable
from typing import Any

import click

from harness.bench.machine import BenchMachine
from harness.bench.summary import LEGEND


def show(
    document: Callable[[], dict[str, Any]],
    text: Callable[[], str],
    machine: BenchMachine,
    *,
    as_json: bool,
) -> None:
    """Print one of the two forms of a result.

    Args:
        document: Makes the JSON-like data.
        text: Makes the table for a person.
        machine: As it was when the benchmark began.
        as_json: Which of them.
    """
    if as_json:
        whole = {**document(), "figures": LEGEND, "machine": machine.document()}
        click.echo(json.dumps(whole, indent=2))
    else:
        click.echo(f"{text()}\n{machine.text()}")
