"""The exception family of the harness.

Every error says what was found, where, what was expected and what to do; the
command line prints that text and exits with `exit_code`. A traceback reaches
a user only for a defect in the harness itself.
"""

import errno
from typing import ClassVar

SYSTEM_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room"),
    **dict.fromkeys(
        (errno.EMFILE, errno.ENFILE), "close other programs' files, or raise the limit (ulimit -n)"
    ),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "give this user the right to it, or name another"),
    **dict.fromkeys(
        (errno.EIO, errno.ESTALE, errno.EREMOTEIO, errno.ENOTCONN),
        "see whether the disk is sound (dmesg) or the network drive is mounted",
    ),
    errno.EFBIG: "raise the limit on a file's size (ulimit -f)",
    errno.EROFS: "mount the file system for writing, or name another folder",
    errno.ENOMEM: "free memory",
    errno.EAGAIN: "end other processes, or raise the limit on their number (ulimit -u)",
}
"""What to do where the operating system refuses a path that is right, by error number."""


class HarnessError(Exception):
    """An error with a remedy.

    One that was raised from an `OSError` of `SYSTEM_REMEDIES` shows the remedy from there: advice
    for a wrong path would mislead.

    Args:
        found: What was found, as one sentence.
        where: File, folder, event or setting in which it was found.
        expected: What was expected there.
        remedy: What the reader can do now.
    """

    exit_code: ClassVar[int] = 2

    def __init__(
        self,
        found: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.found = found
        self.where = where
        self.expected = expected
        self._remedy = remedy
        super().__init__(found)

    @property
    def remedy(self) -> str | None:
        """What the reader can do now."""
        return system_remedy(self.__cause__) or self._remedy

    def __str__(self) -> str:
        lines = {
            "where:      ": self.where,
            "expected:   ": self.expected,
            "what to do: ": self.remedy,
        }
        return "\n".join([self.found, *(f"  {k}{v}" for k, v in lines.items() if v)])


def system_remedy(error: BaseException | None) -> str | None:
    """What to do where the operating system refuses a path that is right; None for other errors."""
    if not isinstance(error, OSError) or error.errno not in SYSTEM_REMEDIES:
        return None
    again = "then give the same command again; nothing half-written is used"
    return f"{SYSTEM_REMEDIES[error.errno]}, {again}"


class UsageError(HarnessError):
    """The command line asks for something that does not exist or contradicts itself."""


class RecipeError(HarnessError):
    """A recipe or one of its settings is unknown, ill-typed or out of range."""


class DataError(HarnessError):
    """A data set is missing, incomplete, changed or not what it claims to be."""


class ModelError(HarnessError):
    """A model is unknown or cannot be built with these settings."""


class WeightsError(HarnessError):
    """A weight file is unreadable, incomplete or fits another model or description."""


class CheckpointError(HarnessError):
    """A checkpoint is torn, altered or belongs to another run."""


class RecordError(HarnessError):
    """A journal, prediction file or bundle is unreadable, altered or from a newer version."""


class BaselineError(HarnessError):
    """A baseline or target file is incomplete or wrong."""


class StatisticsError(HarnessError):
    """A statistical question was asked of numbers that cannot answer it."""


class MachineError(HarnessError):
    """The machine lacks what the job needs: time, disk, memory or a device."""


class TrackerError(HarnessError):
    """The MLflow tracker refuses or cannot be reached where it is needed."""


class RunLockedError(HarnessError):
    """Another process is writing to the same run."""


class DifferenceFoundError(HarnessError):
    """Two things that should be equal bit for bit are not."""

    exit_code = 1


class InconclusiveError(HarnessError):
    """Nothing was measured, or what was measured cannot decide."""

    exit_code = 3


class DivergedError(HarnessError):
    """Training produced a loss that is not finite."""

    exit_code = 4


class PreemptedError(HarnessError):
    """The job was asked to stop; the same command continues it."""

    exit_code = 75
