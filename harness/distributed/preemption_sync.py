"""Where the workers of a job stop together, although none knows where the others are.

A worker that has begun a step can be held up in it by one that has not, so the
common end is the highest number of steps that any worker has begun: each is
asked (`freeze`) and begins no further step before it hears the answer
(`release`). Nobody waits within a step, so nothing can lock up.
"""

import threading


class StepGate:
    """Asked by the training's thread before each step, set by the channel's thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._begun = 0
        self._frozen = False
        self._stop_at: int | None = None

    def stops(self, done: int) -> bool:
        """Whether to stop after `done` steps; while the others are asked, it waits.

        Asking again for the same `done` gives the same answer or, later, True.
        """
        with self._changed:
            while self._frozen and self._stop_at is None:
                self._changed.wait()
            if self._stop_at is not None and done >= self._stop_at:
                return True
            self._begun = max(self._begun, done + 1)
            return False

    def freeze(self) -> int:
        """Hold the training's thread at its next question; returns the steps begun."""
        with self._changed:
            self._frozen = True
            return self._begun

    def release(self, stop_at: int) -> None:
        """Tell the common end."""
        with self._changed:
            self._stop_at = stop_at
            self._changed.notify_all()

    @property
    def stop_at(self) -> int | None:
        """The common end, once it is known."""
        with self._changed:
            return self._stop_at
