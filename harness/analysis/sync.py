"""Send journals to MLflow that were not, or not wholly, sent while they ran, and their verdict."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.judged_study import LoadedRun, loaded_run
from harness.analysis.publish import record_judgement, verdict_words
from harness.errors import HarnessError, TrackerError
from harness.record.journal import read_journal
from harness.record.run_folder import find_runs, is_running, runs_of_study, whole
from harness.tracking.address import shown_uri
from harness.tracking.check import check_tracker
from harness.tracking.mirror import EXPERIMENT, MirrorOutcome, default_tracking_uri, sync_run


@dataclass(frozen=True)
class Synced:
    """One run as it is now in the tracker."""

    loaded: LoadedRun
    outcome: MirrorOutcome

    @property
    def run(self) -> Path:
        """Its folder."""
        return self.loaded.folder

    @property
    def steps(self) -> int:
        """Steps recorded."""
        return self.loaded.summary.last_step

    @property
    def ended(self) -> bool:
        """Whether its journal has an end."""
        return self.loaded.summary.finished is not None

    def document(self) -> dict[str, object]:
        """The same as plain JSON values."""
        return {
            "run": str(self.run),
            "steps": self.steps,
            "mlflow_run_id": self.outcome.mlflow_run_id,
            "tracking_uri": self.outcome.tracking_uri,
        }


def sync(
    paths: tuple[Path, ...],
    *,
    tracking_uri: str | None,
    study: str | None = None,
    every_step: bool = False,
    experiment: str = EXPERIMENT,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Synced, ...]:
    """Send whole journals, and verdict and page of each study whose runs all ended.

    Doing it again changes nothing.

    Args:
        paths: Runs or studies; see `find_runs`.
        tracking_uri: None is the SQLite file in the runs folder, two levels
            above a run's.
        study: Name of the parent run; None takes the name of each run's study folder.
        every_step: Send each step besides the windows.
        experiment: MLflow experiment.
        say: Called with a line for each run and each study.

    Raises:
        RecordError: a path has no journal, or a journal is damaged.
        TrackerError: the tracker does not answer, or refuses.
    """
    synced = []
    checked: set[str] = set()
    for run in find_runs(paths):
        _check_once(tracking_uri or default_tracking_uri(run.parent.parent), experiment, checked)
        journal = whole(read_journal(run))
        outcome = sync_run(
            journal,
            tracking_uri=tracking_uri or default_tracking_uri(run.parent.parent),
            study=study or run.parent.name,
            every_step=every_step,
            experiment=experiment,
            still_running=is_running(run),
        )
        torn = f"; {journal.torn_bytes} bytes of a torn last line left out"
        say(f"{run}: {journal.last_step:,} steps{torn if journal.torn_bytes else ''}")
        synced.append(Synced(loaded_run(journal), outcome))
    for folder in dict.fromkeys(one.run.parent for one in synced):
        of_study = [one for one in synced if one.run.parent == folder]
        uri = tracking_uri or default_tracking_uri(folder.parent)
        say(f"{folder}: {_judged(of_study, uri, study or folder.name, experiment)}")
    return tuple(synced)


def _judged(synced: list[Synced], tracking_uri: str, study: str, experiment: str) -> str:
    """Record the verdict of a study whose runs were all sent; returns words about it."""
    folder = synced[0].run.parent
    unsent = set(runs_of_study(folder)) - {s.run for s in synced}
    waiting = [one.run.name for one in synced if not one.ended] + sorted(p.name for p in unsent)
    if waiting:
        return f"no verdict yet: {', '.join(waiting)} not ended or not named"
    try:
        judgements = record_judgement(
            [one.loaded for one in synced],
            tracking_uri=tracking_uri,
            study=study,
            experiment=experiment,
        )
    except HarnessError as error:
        return f"no verdict was recorded\n{error}"
    return f"verdict {verdict_words(judgements)}"


def _check_once(tracking_uri: str, experiment: str, checked: set[str]) -> None:
    """Ask each tracker before anything is sent to it.

    Raises:
        TrackerError: it does not answer, or can never work.
    """
    if tracking_uri in checked:
        return
    checked.add(tracking_uri)
    outage = check_tracker(tracking_uri, experiment=experiment)
    if outage:
        raise TrackerError(
            outage,
            where=shown_uri(tracking_uri),
            expected="an MLflow tracker that accepts runs",
            remedy="start it, then call `harness sync` again; the journals keep everything",
        )
