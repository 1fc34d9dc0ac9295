"""`harness certify`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import DataFolder, LocalPath, json_option, tracking_option

if TYPE_CHECKING:
    from harness.record.certificate import Certificate


@click.command("certify")
@click.argument("run", type=LocalPath())
@click.option("--data", type=DataFolder(), help="The run's data. Default: where it was.")
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Steps to replay from one saved state.",
)
@click.option(
    "--from",
    "start",
    type=click.IntRange(min=0),
    help="Step of the saved state to begin from. Default: drawn by chance.",
)
@click.option("--whole", is_flag=True, help="Replay every step.")
@click.option(
    "--segments",
    type=click.IntRange(min=1),
    help="Audit N segments between saved states, drawn by --nonce.",
)
@click.option(
    "--nonce",
    help="A word that the verifier chose after the run, once neither its journal nor its "
    "checkpoints could be changed any more.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-3,
    show_default=True,
    help="Relative, for losses and gradient norms on a machine where bits may differ.",
)
@click.option(
    "--detail",
    "detailed_step",
    type=click.IntRange(min=0),
    help="Only print the fingerprint of every tensor of this step, as JSON.",
)
@tracking_option
@click.option("--no-tracking", is_flag=True, help="Leave MLflow alone.")
@json_option
def command(
    run: Path,
    data: Path | None,
    steps: int,
    start: int | None,
    whole: bool,
    segments: int | None,
    nonce: str | None,
    tolerance: float,
    detailed_step: int | None,
    tracking_uri: str | None,
    no_tracking: bool,
    as_json: bool,
) -> None:
    """Replay steps of RUN and compare them with its journal, bit for bit.

    A run that went on with --accept-numerics is replayed in stretches, each under
    the numerics it was recorded under. Where this machine's are others, numbers
    are compared within --tolerance, which makes a weaker certificate; an altered
    saved state is a difference anyway. Where bits are promised, the evaluations
    within the replayed steps are repeated too.

    The certificate is written beside the run. Exit codes: 0 everything
    replayed agrees, 1 something differs, 2 wrong input.
    """
    from harness.replay.certify import CertifyRequest, certify, detail

    if detailed_step is not None:
        click.echo(detail(run, detailed_step, data).model_dump_json(indent=2))
        return
    request = CertifyRequest(
        run=run,
        data=data,
        steps=steps,
        start=start,
        whole=whole,
        segments=segments,
        nonce=nonce,
        tolerance=tolerance,
    )
    uri = None if no_tracking else _tracker(run, tracking_uri)
    certificate = certify(request, say=lambda text: click.echo(text, err=True))
    if uri is not None:
        _publish(run, certificate, uri)
    click.echo(certificate.model_dump_json(indent=2) if as_json else certificate.statement)
    if not certificate.agrees:
        raise SystemExit(1)


def _tracker(run: Path, tracking_uri: str | None) -> str | None:
    """Where the certificate will go, checked before the replay; None without a tracker."""
    from harness.replay.setup import one_run
    from harness.tracking.check import check_tracker
    from harness.tracking.places import tracker_of

    runs = one_run(run).parent.parent
    if tracking_uri is None and not (runs / "mlflow.db").exists():
        return None
    uri = tracker_of(runs, tracking_uri)
    outage = check_tracker(uri)
    if outage:
        click.echo(f"warning: {outage}", err=True)
    return uri


def _publish(run: Path, certificate: "Certificate", tracking_uri: str) -> None:
    from harness.errors import TrackerError
    from harness.replay.certify import publish

    try:
        publish(run, certificate, tracking_uri)
    except TrackerError as error:
        click.echo(f"MLflow: the certificate was not recorded\n{error}", err=True)
