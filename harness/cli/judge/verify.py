"""`harness verify`."""

import json
from pathlib import Path

import click

from harness.cli.options import LocalPath, json_option


@click.command("verify")
@click.argument("file", metavar="FILE", type=LocalPath(dir_okay=False))
@click.option("--sha256", help="Refuse another file than the one with this digest.")
@json_option
def command(file: Path, sha256: str | None, as_json: bool) -> None:
    """Check every byte of the bundle FILE and compute every reported number again.

    Needs neither the network nor TensorFlow. Exit codes: 0 everything is
    equal; 1 a number does not follow from the raw parts, or a part belongs to
    another run; 2 the file was altered, is no bundle, or is another one than
    `--sha256` names.
    """
    from harness.analysis.verify import verify

    done = verify(file, expected_sha256=sha256)
    click.echo(json.dumps(done.document(), indent=2) if as_json else done.text())
