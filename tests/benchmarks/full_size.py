"""ImageNet's full size made of hard links, and commands on it with the time of every word."""

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.data.imagenet_facts import TRAIN_IMAGES, VAL_IMAGES, VAL_PER_CLASS
from harness.sources.class_order import class_orders
from harness.sources.labels.numbers import published_val_labels
from tests.parity.generated_images import jpeg_bytes, picture
from tests.shared_data import SHARED

MOST_LINKS = 60_000
"""To one file, on ext4."""
FULL_CLASSES = 895
"""Classes with 1,300 training images; the others share the rest equally."""


def contents() -> list[bytes]:
    """ImageNet photographs where they are at hand, else generated ones of the same size."""
    sample = sorted((SHARED / "data" / "imagenet-sample").glob("*.JPEG"))
    return [path.read_bytes() for path in sample] or [
        jpeg_bytes(picture(375, 500, n)) for n in range(32)
    ]


def make_tree(root: Path) -> int:
    """Make ImageNet's files as links to a few; returns how many there are."""
    pool = []
    for number, raw in enumerate(contents()):
        path = root / "pool" / f"{number:03d}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        pool.append(str(path))
    assert (TRAIN_IMAGES + VAL_IMAGES) / len(pool) < MOST_LINKS
    data, made = root / "imagenet", 0
    wnids = class_orders().wnids
    rest, others = TRAIN_IMAGES - FULL_CLASSES * 1_300, len(wnids) - FULL_CLASSES
    for place, wnid in enumerate(wnids):
        extra = place - FULL_CLASSES
        count = 1_300 if extra < 0 else rest // others + (extra < rest % others)
        folder = f"{data}/train/{wnid}"
        Path(folder).mkdir(parents=True)
        for n in range(count):
            os.link(pool[made % len(pool)], f"{folder}/{wnid}_{n}.JPEG")
            made += 1
    for wnid in wnids:
        Path(f"{data}/val/{wnid}").mkdir(parents=True)
    for name, wnid in published_val_labels().items():
        os.link(pool[made % len(pool)], f"{data}/val/{wnid}/{name}.JPEG")
        made += 1
    assert VAL_PER_CLASS * len(wnids) == VAL_IMAGES
    return made


@dataclass
class Line:
    """A line on standard error, when it came, and the processor time until then, in seconds."""

    at_s: float
    text: str
    cpu_s: float = 0.0


@dataclass
class Trial:
    """One command of the harness on the full size.

    Attributes:
        words: of the command line.
        lines: what it said so far.
        signalled_s: when a signal was sent.
        ended_s: when it had ended.
        exit_code: how.
        peak_bytes: most memory that was resident.
        cpu_s: processor time in all.
    """

    words: tuple[str, ...]
    lines: list[Line] = field(default_factory=list)
    signalled_s: float | None = None
    ended_s: float = 0.0
    exit_code: int = 0
    peak_bytes: int = 0
    cpu_s: float = 0.0

    def run(self, stop: tuple[float, signal.Signals] | None = None) -> "Trial":
        """Run it to its end, or send a signal so many seconds after the start."""
        begun_s = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", *self.words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        reader = threading.Thread(target=self._read, args=(process, begun_s))
        reader.start()
        timer = threading.Timer(*self._later(process, begun_s, stop)) if stop else None
        if timer:
            timer.start()
        _pid, status, usage = os.wait4(process.pid, 0)
        self.ended_s = time.monotonic() - begun_s
        process.returncode = self.exit_code = os.waitstatus_to_exitcode(status)
        self.peak_bytes = usage.ru_maxrss * 1024
        self.cpu_s = usage.ru_utime + usage.ru_stime
        reader.join()
        assert process.stderr is not None
        process.stderr.close()
        if timer:
            timer.cancel()
        return self

    def _read(self, process: "subprocess.Popen[str]", begun_s: float) -> None:
        assert process.stderr is not None
        for text in process.stderr:
            at_s = time.monotonic() - begun_s
            self.lines.append(Line(at_s, text.rstrip(), _processor_s(process.pid)))

    def _later(
        self, process: "subprocess.Popen[str]", begun_s: float, stop: tuple[float, signal.Signals]
    ) -> tuple[float, Callable[[], None]]:
        def send() -> None:
            self.signalled_s = time.monotonic() - begun_s
            process.send_signal(stop[1])

        return stop[0], send

    def first(self, pattern: str) -> float:
        """When a line that holds this was said."""
        return self.first_line(pattern).at_s

    def first_line(self, pattern: str) -> Line:
        """The first line that holds this."""
        return next(line for line in self.lines if re.search(pattern, line.text))

    @property
    def longest_silence_s(self) -> float:
        """The longest time between two lines, start and end included."""
        times = [0.0, *(line.at_s for line in self.lines), self.ended_s]
        return max(b - a for a, b in itertools.pairwise(times))

    @property
    def reaction_s(self) -> float:
        """From the signal to the next line or the end, whichever came first."""
        assert self.signalled_s is not None
        after = [line.at_s for line in self.lines if line.at_s >= self.signalled_s]
        return min([*after, self.ended_s]) - self.signalled_s

    @property
    def end_s(self) -> float:
        """From the signal to the end."""
        assert self.signalled_s is not None
        return self.ended_s - self.signalled_s


def _processor_s(pid: int) -> float:
    """Processor time of a process and of its children that ended; 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    ticks = text.rpartition(")")[2].split()[11:15]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


LEFT = re.compile(r"(?:(\d+) h )?(?:(\d+) min )?(?:(\d+) s )?left")


def seconds_left(text: str) -> float | None:
    """The time left that a line of progress tells."""
    found = LEFT.search(text)
    if not found or not any(found.groups()):
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return 3600.0 * hours + 60 * minutes + seconds
