"""How many steps a second a run's record takes: journal and mirror to SQLite."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
from harness.recipes.published.apm5 import APM5_RESNET50
from harness.recipes.recipe import Recipe
from harness.record.journal import JournalWriter, read_journal
from harness.record.schema import AnyEvent, DataIdentity, EffectiveNumerics, RunStarted, Steps
from harness.tracking.mirror import default_tracking_uri, sync_run

WINDOW_STEPS = 100
WINDOWS = 100

Now = Callable[[], float]


def bench_tracker(
    folder: Path,
    *,
    numerics: EffectiveNumerics,
    windows: int = WINDOWS,
    now: Now = time.perf_counter,
) -> float:
    """Steps a second that are appended to a journal and sent to a database by windows.

    Args:
        folder: An empty folder for the journals and the database.
        numerics: Of this process.
        windows: Windows of 100 steps that are timed.
        now: The clock.
    """
    uri = default_tracking_uri(folder)
    # The first run imports MLflow and migrates the database.
    _record(folder / "study" / "seed-1", uri, _events(1, numerics, 1))
    begun = now()
    _record(folder / "study" / "seed-2", uri, _events(2, numerics, windows))
    return windows * WINDOW_STEPS / (now() - begun)


def _record(folder: Path, uri: str, events: Iterator[AnyEvent]) -> None:
    folder.mkdir(parents=True)
    with JournalWriter(folder / "journal.jsonl") as journal:
        for event in events:
            journal.append(event)
    sync_run(read_journal(folder), tracking_uri=uri, study="bench")


def _events(seed: int, numerics: EffectiveNumerics, windows: int) -> Iterator[AnyEvent]:
    steps = windows * WINDOW_STEPS
    yield _started(APM5_RESNET50, seed, numerics, steps)
    for first in range(0, steps, WINDOW_STEPS):
        ones = (1.0,) * WINDOW_STEPS
        yield Steps(
            time_s=time.time(),
            step=tuple(range(first, first + WINDOW_STEPS)),
            step_time_s=ones,
            data_wait_s=ones,
            loss=ones,
            learning_rate=ones,
            gradient_norm=ones,
            correct=(1,) * WINDOW_STEPS,
            images=(1,) * WINDOW_STEPS,
            fingerprint=(f"{first:016x}",) * WINDOW_STEPS,
        )


def _started(recipe: Recipe, seed: int, numerics: EffectiveNumerics, steps: int) -> RunStarted:
    return RunStarted(
        time_s=time.time(),
        run_id=f"{recipe.digest[:8]}-{os.getpid()}-{seed}",
        seed=seed,
        recipe=recipe,
        recipe_digest=recipe.digest,
        deviations=(),
        numerics=numerics,
        numerics_digest=numerics.digest,
        data=DataIdentity(
            name="none",
            kind="digits",
            root_digest="0" * 64,
            train_images=1,
            val_images=1,
            classes=("none",),
            class_order="folder",
        ),
        steps_per_epoch=steps,
        steps_total=steps,
        harness_version=harness.__version__,
        git_commit=None,
        git_dirty=None,
        environment={},
        command=("harness", "bench", "all"),
    )
