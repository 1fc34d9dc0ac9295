"""`harness verdict`: runs on disk to a judgement."""

from collections.abc import Sequence
from pathlib import Path

from harness.baselines.loading import load_baselines, load_target
from harness.record.journal import FILE_NAME
from harness.record.run_folders import find_runs
from harness.record.summary import RunSummary, read_summary
from harness.verdict.judge import judge
from harness.verdict.judgement import Judgement


def verdict(paths: Sequence[Path], *, target: Path | None = None) -> Judgement:
    """Judge the runs that paths mean.

    Args:
        paths: Run folders, journals, or study folders, which stand for all
            their seeds.
        target: A target file; without it those in `baselines/`.

    Raises:
        UsageError: no runs, or runs of different recipes.
        RecordError: a journal that is missing, damaged or of a newer schema.
        BaselineError: a target file that is wrong.
    """
    folders = find_runs(paths)
    baselines = load_baselines()
    targets = (load_target(target),) if target else baselines.targets
    runs = [read_summary(folder) for folder in folders]
    return judge(runs, targets, rows=baselines.accuracy, left_out=_left_out(runs))


def _left_out(runs: Sequence[RunSummary]) -> tuple[str, ...]:
    """Runs beside the named ones in their study's folder."""
    named = {run.folder for run in runs}
    beside = {
        journal.parent
        for study in {run.folder.parent for run in runs}
        for journal in study.glob(f"seed-*/{FILE_NAME}")
    }
    return tuple(str(folder) for folder in sorted(beside - named))
