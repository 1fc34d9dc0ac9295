"""The one net for what no command has caught: a sentence, a remedy and an exit code."""

import errno
import os
import platform
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness import __version__
from harness.errors import SYSTEM_REMEDIES, HarnessError, PreemptedError, system_remedy
from harness.system.secrets import redacted
from harness.system.signal_thread import SIGNAL_STATE
from harness.system.signals import Stopped

USAGE = 2
DEFECT = 70
"""A defect of the harness itself, as `sysexits.h` has it; 1 keeps its one meaning."""
REPORT_IT = "report it, with the file: it holds the full trace, and no password that is known here"


def exit_code_of(command: Callable[[], Any]) -> int:
    """Call a command; whatever it raises becomes words on standard error and an exit code."""
    try:
        answer = command()
    except SystemExit as error:
        return _of_system_exit(error)
    except click.ClickException as error:
        error.show()
        return USAGE
    except HarnessError as error:
        return _told(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort) as error:
        return _interrupted(error)
    except Exception as error:  # noqa: BLE001 - the net
        # A library may have made an error of its own of the signal's.
        return _told_somehow(error if SIGNAL_STATE.raised is None else Stopped(SIGNAL_STATE.raised))
    return answer if isinstance(answer, int) else 0


def _told_somehow(error: BaseException) -> int:
    """Tell an error, also where there is no memory or descriptor left to tell it in full."""
    try:
        return _interrupted(error) if isinstance(error, Stopped) else told(error)
    except Exception as second:  # noqa: BLE001 - the net's own
        words = f"harness: {_one_line(error)}\n  and in telling it: {_one_line(second)}\n"
        os.write(2, redacted(words).encode(errors="backslashreplace"))
        return USAGE if isinstance(error, (MemoryError, OSError)) else DEFECT


def told(error: BaseException) -> int:
    """Tell what nothing else has caught; returns the exit code."""
    if isinstance(error, MemoryError):
        return _refused("there is not enough memory", error, "free memory, or use a larger machine")
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return _refused("no further thread can be started", error, SYSTEM_REMEDIES[errno.EAGAIN])
    if isinstance(error, OSError):
        place = "" if error.filename is None else f": {error.filename}"
        words = f"the system says no: {error.strerror or error}{place}"
        remedy = system_remedy(error) or "correct that, then give the same command again"
        return _refused(words, error, remedy)
    if _of_a_package(error):
        words = f"an installed package cannot be used: {error}"
        return _refused(words, error, "install the project again, with its lock file")
    device = _of_device(error)
    if device is not None:
        return _told(str(device), device.exit_code)
    text = (
        f"a defect of the harness ended the command: {_one_line(error)}\n"
        f"  where:      {_place(error)}\n"
        f"  expected:   an answer, or an error with a remedy\n"
        f"  what to do: {REPORT_IT}: {write_trace(error)}"
    )
    return _told(text, DEFECT)


def _of_a_package(error: BaseException) -> bool:
    """Whether another package could not be imported, or failed in its first lines."""
    if isinstance(error, ImportError):
        return not (error.name or "").startswith("harness")
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].name == "<module>" and not _is_ours(frames[-1].filename)


def _of_device(error: BaseException) -> HarnessError | None:
    """What TensorFlow raises of memory and devices where nothing else has put it into words."""
    if "tensorflow" not in sys.modules:
        return None
    import tensorflow as tf

    from harness.training.device_errors import OTHER, explained, kind_of

    if not isinstance(error, tf.errors.OpError) or kind_of(error) is OTHER:
        return None
    return explained(error, _place(error))


def _is_ours(filename: str) -> bool:
    return filename.startswith(str(Path(__file__).parents[1]) + os.sep)


def _refused(found: str, error: BaseException, remedy: str) -> int:
    """The machine says no in a way that no command has words of its own for."""
    trace = write_trace(error)
    more = "" if "\n" in trace else f"; the full trace: {trace}"  # no file could be written
    return _told(f"{found}\n  where:      {_place(error)}\n  what to do: {remedy}{more}", USAGE)


def _told(text: str, code: int) -> int:
    click.echo(f"harness: {text}", err=True)
    return code


def _interrupted(error: BaseException) -> int:
    cause = error.__cause__ if isinstance(error, click.Abort) else error
    if isinstance(cause, EOFError):
        return told(cause)
    name = cause.signal_name if isinstance(cause, Stopped) else "SIGINT"
    words = "interrupted from the keyboard" if name == "SIGINT" else f"stopped by {name}"
    preempted = PreemptedError(
        words,
        expected="time to end; nothing half-written is used",
        remedy="give the same command again",
    )
    return _told(str(preempted), preempted.exit_code)


def _of_system_exit(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code
    return _told(str(error.code), USAGE)


def _one_line(error: BaseException) -> str:
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _place(error: BaseException) -> str:
    """The innermost line of this package that the error went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _is_ours(frame.filename)] or list(frames)
    if not ours:
        return "unknown"
    frame = ours[-1]
    name = frame.filename.removeprefix(str(Path(__file__).parents[2]) + os.sep)
    return f"{name}, line {frame.lineno}, in {frame.name}"


def write_trace(error: BaseException) -> str:
    """Write the full trace to a file that this user alone reads; returns its place.

    Where no folder takes a file, the trace itself is returned.
    """
    trace = "".join(traceback.format_exception(error))
    words = " ".join(sys.argv[1:])
    text = redacted(
        f"harness {__version__}, Python {platform.python_version()}, {' '.join(os.uname()[::2])}\n"
        f"command: harness {words}\n\n{trace}"
    )
    name = f"harness-defect-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    for folder in _places():
        try:
            descriptor = os.open(Path(folder()) / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except (OSError, RuntimeError):
            continue
        return str(Path(folder()) / name)
    return f"\n{text}"


def _places() -> tuple[Callable[[], str | Path], ...]:
    return (tempfile.gettempdir, Path.home, Path.cwd)


def tell_of_threads() -> None:
    """What a thread or a destructor raises is printed as a line, with its trace in a file."""

    def of_thread(args: threading.ExceptHookArgs) -> None:
        _beside(args.exc_value, f"the thread {args.thread.name if args.thread else '?'}")

    def of_destructor(args: Any) -> None:
        _beside(args.exc_value, "tidying up")

    threading.excepthook = of_thread
    sys.unraisablehook = of_destructor


def _beside(error: BaseException | None, where: str) -> None:
    if error is None or isinstance(error, (SystemExit, KeyboardInterrupt)):
        return
    click.echo(f"harness: {where} failed: {_one_line(error)}; {write_trace(error)}", err=True)
