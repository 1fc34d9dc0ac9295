"""`harness verdict`."""

from pathlib import Path

import click

from harness.cli.options import LocalPath, json_option, target_option, tracking_option
from harness.errors import UsageError


@click.command("verdict")
@click.argument("paths", metavar="RUN...", nargs=-1, required=True, type=LocalPath())
@target_option
@click.option(
    "--baseline",
    help="For a folder of `harness evaluate`: the published row to hold it against, by name.",
)
@click.option(
    "--draw",
    type=LocalPath(dir_okay=False),
    help="With --baseline: the record of a random draw as JSON: kind (simple or stratified), seed, "
    "images, population (50000); for a stratified one also labels, a file with all labels.",
)
@click.option(
    "--throughput", is_flag=True, help="Judge the speed of one run instead of the accuracy."
)
@click.option(
    "--earlier",
    multiple=True,
    type=LocalPath(),
    help="With --throughput: an earlier run to compare with, once or more.",
)
@tracking_option
@json_option
def command(
    paths: tuple[Path, ...],
    target: str | None,
    baseline: str | None,
    draw: Path | None,
    throughput: bool,
    earlier: tuple[Path, ...],
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """State whether RUN... reproduced each target that applies to them.

    RUN is a run's folder, its journal, or a study's folder, which stands for
    every run in it; with --baseline, a folder that `harness evaluate` wrote.
    The target's declared seeds alone decide; others are shown. Recorded
    digests and counts are computed again first, and two trackers are asked for
    other runs of a declared seed: the one in the runs folder and --tracking-uri.
    Exit codes: 0 reproduced and nothing else; 1 not reproduced, or the records
    contradict each other; 2 wrong input, such as a --target about other runs;
    3 exceeds, inconclusive, or no target for this data. Of several targets the
    worst answer decides, 1 before 3 before 0; --target NAME asks about one
    alone; one that the runs did not begin with is inconclusive. With --throughput: 1 slower
    than an earlier run, 3 cannot tell.
    """
    modes = (throughput, baseline is not None, target is not None)
    alone = throughput or baseline is not None
    lonely = (draw is not None and baseline is None) or (bool(earlier) and not throughput)
    if sum(modes) > 1 or lonely or (alone and len(paths) != 1):
        raise _options_clash()
    if throughput:
        text, document, code = _throughput(paths[0], earlier)
    elif baseline is not None:
        text, document, code = _evaluation(paths[0], baseline, draw)
    else:
        text, document, code = _accuracy(paths, target, tracking_uri)
    click.echo(document if as_json else text)
    raise SystemExit(code)


def _accuracy(
    paths: tuple[Path, ...], target: str | None, tracking_uri: str | None
) -> tuple[str, str, int]:
    from harness.api import judge
    from harness.verdict.text import judgement_text

    judgements = judge(*paths, target=target, tracking_uri=tracking_uri)
    return judgement_text(judgements), judgements.json(), judgements.exit_code


def _throughput(run: Path, earlier: tuple[Path, ...]) -> tuple[str, str, int]:
    from harness.analysis.throughput import throughput, throughput_text

    answer = throughput(run, earlier)
    return throughput_text(answer), answer.model_dump_json(indent=2), answer.exit_code


def _evaluation(folder: Path, baseline: str, draw: Path | None) -> tuple[str, str, int]:
    from harness.analysis.published_weights import judge_evaluation_folder
    from harness.verdict.imported import evaluation_text

    answer = judge_evaluation_folder(folder, baseline, draw=draw)
    return evaluation_text(answer), answer.model_dump_json(indent=2), answer.exit_code


def _options_clash() -> UsageError:
    return UsageError(
        "the options do not go together",
        expected="RUN... [--target NAME], or RUN --throughput [--earlier RUN], "
        "or FOLDER --baseline NAME [--draw FILE]",
        remedy="see `harness verdict --help`",
    )
