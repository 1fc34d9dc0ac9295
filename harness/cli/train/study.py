"""`harness study`."""

import json
import os
from pathlib import Path
from typing import Literal

import click

from harness.cli.options import DataFolder, LocalPath, json_option, runs_option, tracking_option
from harness.recipes.catalogue import find_recipe
from harness.recipes.files import is_file_name
from harness.recipes.recipe import Recipe
from harness.recipes.settings import with_settings


@click.command("study", context_settings={"ignore_unknown_options": False})
@click.argument("recipe")
@click.option("--seeds", required=True, help="Seeds such as 0-9 or 1,3,5-7: one job each.")
@click.option("--data", required=True, type=DataFolder(), help="As for `harness run`.")
@runs_option
@click.option(
    "--executor", type=click.Choice(["local", "slurm"]), default="local", show_default=True
)
@click.option(
    "--at-once",
    type=click.IntRange(min=1),
    help="Most jobs at a time. Default: locally one, or as many as have GPUs of their own.",
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As for `harness run`.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="FILE",
    type=LocalPath(dir_okay=False),
    help="As for `harness run`.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Stop each seed after N steps.")
@click.option("--devices", default="1", show_default=True, help="As for `harness run`.")
@click.option(
    "--hours",
    type=click.FloatRange(min=0.1),
    default=120.0,
    show_default=True,
    help="Time limit of a job.",
)
@click.option(
    "--gpus",
    type=click.IntRange(min=0),
    help="GPUs of a job, its own. Default: locally one where there are some, else none.",
)
@click.option("--cores", type=click.IntRange(min=1), help="Cores of a job.")
@click.option("--memory-gib", type=click.FloatRange(min=0.5), help="Memory of a job.")
@click.option("--partition", help="Slurm's partition.")
@click.option("--no-tracking", is_flag=True, help="Send nothing to MLflow.")
@tracking_option
@json_option
def command(
    recipe: str,
    seeds: str,
    data: Path,
    runs: Path,
    executor: Literal["local", "slurm"],
    at_once: int | None,
    settings: tuple[str, ...],
    targets: tuple[Path, ...],
    steps: int | None,
    devices: str,
    hours: float,
    gpus: int | None,
    cores: int | None,
    memory_gib: float | None,
    partition: str | None,
    no_tracking: bool,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Train RECIPE (a name or a file) once for each seed, each in a job of its own; judge all.

    Jobs write their journals only; this process alone writes to the tracker.
    A job that is preempted goes into the queue again and continues exactly.
    Exit codes: those of `harness verdict`, once every seed is done; else that
    of the first seed that is not.
    """
    from harness.analysis.verdict import verdict
    from harness.measure.gpu_list import local_gpus
    from harness.study.jobs import Resources, jobs_at_once
    from harness.study.launch import StudyRequest, parse_seeds, run_study
    from harness.verdict.text import judgement_text

    chosen = with_settings(find_recipe(recipe), settings)
    local = executor == "local"
    if gpus is None:
        gpus = min(1, len(local_gpus(os.environ))) if local else 0
    request = StudyRequest(
        recipe=chosen,
        recipe_name=str(Path(recipe).resolve()) if is_file_name(recipe) else recipe,
        settings=settings,
        data=data,
        seeds=parse_seeds(seeds),
        runs=runs,
        options=_job_options(chosen, devices, steps, targets),
        executor=executor,
        resources=Resources(hours, gpus, cores, memory_gib, partition),
        at_once=at_once or (jobs_at_once(gpus, os.environ) if local else None),
        tracking_uri=tracking_uri,
        tracking=not no_tracking,
    )
    report = run_study(request, say=lambda text: click.echo(text, err=True))
    if report.exit_code or steps:
        click.echo(json.dumps(report.document(), indent=2) if as_json else str(report.folder))
        raise SystemExit(report.exit_code)
    judgements = verdict([report.folder])
    click.echo(judgements.json() if as_json else judgement_text(judgements))
    raise SystemExit(judgements.exit_code)


def _job_options(
    recipe: Recipe, devices: str, steps: int | None, targets: tuple[Path, ...]
) -> tuple[str, ...]:
    """Options that each job is called with; wrong ones are refused here, not in every job."""
    from harness.baselines.own import read_own_target
    from harness.distributed.cluster import check_job

    check_job(1, devices, recipe.batch)
    options = ["--devices", devices, *(("--steps", str(steps)) if steps else ())]
    for path in targets:
        read_own_target(path, recipe.name, recipe.digest)
        options += ["--target", str(path.resolve())]
    return tuple(options)
