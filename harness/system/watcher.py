"""A small process beside one that may be held where no Python runs; see `watchdog`.

Run by path, without the package: `python -I -S watcher.py PID LIMIT_S GRACE_S HELD WHAT`.
It reads standard input: a zero byte means that the watched part is over, any other byte
is the number of a signal that came there, and an end without a zero is the end of
the process.
"""

import os
import select
import signal
import sys
import time

TIME_OVER = """harness: {what} took longer than {limit_s:.0f} s
  where:      process {pid}, held where it cannot end by itself
  expected:   devices and other workers that answer
  what to do: see whether the driver answers (nvidia-smi) and whether the workers reach each \
other; the process is killed, the same command begins again
"""
STOPPED = """harness: {what} was stopped by {signal_name}
  where:      process {pid}, held where it cannot end by itself
  expected:   nothing was begun, nothing is lost
  what to do: the process is killed; give the same command again
"""


def watch(pid: int, limit_s: float, grace_s: float, held: int, what: str) -> None:
    """Wait for the end of the watched part; kill the process when it takes too long."""
    deadline = time.monotonic() + limit_s
    signal_name = ""
    while True:
        left_s = max(0.0, deadline - time.monotonic())
        if not select.select([0], [], [], left_s)[0]:
            words = STOPPED if signal_name else TIME_OVER
            values = {"what": what, "limit_s": limit_s, "pid": pid, "signal_name": signal_name}
            _end(pid, held, words.format(**values))
            return
        data = os.read(0, 64)
        if not data:
            if not signal_name:  # who asked for the end wants no reasons
                _show(held)
            return
        if 0 in data:
            return
        if not signal_name:
            signal_name = signal.Signals(data[0]).name
            deadline = min(deadline, time.monotonic() + grace_s)


def _end(pid: int, held: int, words: str) -> None:
    _show(held)
    os.write(2, words.encode())
    if os.getppid() == pid:
        os.kill(pid, signal.SIGKILL)


def _show(held: int) -> None:
    """What the process wrote to its standard error and was not shown yet."""
    if held < 0:
        return
    place, end = 0, os.fstat(held).st_size  # as it is now: standard error may be the same file
    while data := os.pread(held, min(65536, end - place), place):
        os.write(2, data)
        place += len(data)


def main() -> None:
    """Ignore what the terminal sends to the watched process; it tells what it got."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    pid, limit_s, grace_s, held, what = sys.argv[1:]
    watch(int(pid), float(limit_s), float(grace_s), int(held), what)


if __name__ == "__main__":
    main()
