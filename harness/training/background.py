"""Checkpoints written beside the training: it stands still only for the snapshot."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import numpy as np

from harness.training.checkpoint import Written, remove_old, write_checkpoint

Snapshot = Callable[[], dict[str, np.ndarray]]
"""Takes the arrays of a state off its devices."""
Report = Callable[[Written, float], None]
"""Called from the training's thread with a written checkpoint and the stall in seconds."""


class CheckpointWriter:
    """Writes one checkpoint at a time in a thread; use as a context manager.

    Args:
        checkpoints: The run's folder of checkpoints.
        run_id: The run.
        sync_journal: Makes the journal durable; called before each rename.
        report: Called with each written checkpoint.
        keep: How many of the newest stay.
        kept_steps: Which older ones stay.
        now: Monotonic clock, seconds.
    """

    def __init__(
        self,
        checkpoints: Path,
        run_id: str,
        sync_journal: Callable[[], None],
        report: Report,
        *,
        keep: int = 3,
        kept_steps: Callable[[int], bool] = lambda _step: False,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._folder = checkpoints
        self._run_id = run_id
        self._sync_journal = sync_journal
        self._report = report
        self._keep = keep
        self._kept_steps = kept_steps
        self._now = now
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: tuple[Future[Written], float] | None = None

    def write(self, step: int, snapshot: Snapshot) -> None:
        """Take a snapshot and write it in the background.

        Waits first for the checkpoint before. Raises what writing that one raised.
        """
        begin = self._now()
        self.wait()
        arrays = snapshot()
        stall_s = self._now() - begin
        self._pending = (self._pool.submit(self._write, step, arrays), stall_s)

    def _write(self, step: int, arrays: dict[str, np.ndarray]) -> Written:
        written = write_checkpoint(self._folder, step, self._run_id, arrays, self._sync_journal)
        remove_old(self._folder, self._keep, self._kept_steps, newest=step)
        return written

    def poll(self) -> None:
        """Report the pending checkpoint if it is written."""
        if self._pending and self._pending[0].done():
            self.wait()

    def wait(self) -> None:
        """Wait for the pending checkpoint, if any, and report it."""
        if self._pending is None:
            return
        future, stall_s = self._pending
        self._pending = None
        self._report(future.result(), stall_s)

    def __enter__(self) -> "CheckpointWriter":
        """Return the writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish what is pending; an error of the body is not replaced by one of the writing."""
        try:
            self.wait()
        except OSError:
            if kind is None:
                raise
        finally:
            self._pool.shutdown(wait=True)
