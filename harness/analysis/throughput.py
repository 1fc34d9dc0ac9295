"""`harness verdict --throughput`: how fast a run was, beside published and earlier speeds."""

from collections.abc import Sequence
from pathlib import Path

from harness.baselines.loading import load_baselines
from harness.frozen import Frozen
from harness.record.journal import read_journal
from harness.record.run_folder import find_runs
from harness.verdict.text import table
from harness.verdict.throughput import (
    SPEED_EXIT_CODES,
    Speed,
    SpeedComparison,
    compare_with_run,
    fitting_rows,
    speed_of,
)


class ThroughputAnswer(Frozen):
    """The speed of one run and everything it was held against.

    `step_time_s` is the median over steps without compilation, of
    `images_per_step` images each.
    """

    run: str
    images_per_s: float
    step_time_s: float
    images_per_step: int
    device: str
    earlier: tuple[SpeedComparison, ...]
    published: tuple[SpeedComparison, ...]

    @property
    def exit_code(self) -> int:
        """1 when slower than an earlier run, 3 when that is undecided, else 0."""
        codes = {SPEED_EXIT_CODES[comparison.word] for comparison in self.earlier}
        return next((code for code in (1, 3) if code in codes), 0)


def throughput(run: Path, earlier: Sequence[Path] = ()) -> ThroughputAnswer:
    """Compare a run's speed with published rows of its network and with earlier runs.

    Raises:
        RecordError: a journal that is missing, damaged, or has no steps.
        UsageError: `run` means more than one run.
    """
    speed = read_speed(run)
    others = [read_speed(path) for path in find_runs(earlier)] if earlier else []
    return ThroughputAnswer(
        run=speed.run,
        images_per_s=speed.images_per_s,
        step_time_s=speed.median_step_time_s,
        images_per_step=speed.images_per_step,
        device=", ".join(speed.started.numerics.devices),
        earlier=tuple(compare_with_run(speed, other) for other in others),
        published=fitting_rows(speed, load_baselines().throughput),
    )


def read_speed(run: Path) -> Speed:
    """The speed of a run's folder. Raises `RecordError` as `throughput` does."""
    journal = read_journal(run)
    times_s, images = journal.column("step_time_s"), journal.column("images")
    return speed_of(str(run), journal.started, times_s, images, journal.column("compiled"))


def throughput_text(answer: ThroughputAnswer) -> str:
    """For a terminal: the run, earlier runs, comparable rows, and why the others are not."""
    speed = (
        f"{answer.images_per_s:,.1f} images/s, {_milliseconds(answer.step_time_s)} ms a step of "
        f"{answer.images_per_step:,} images"
    )
    lines = [answer.run, f"  {speed} on {answer.device}", ""]
    if answer.earlier:
        lines += [*_rows("earlier run", answer.earlier), ""]
    comparable = [row for row in answer.published if row.word != "incomparable"]
    if comparable:
        lines += [*_rows("published", comparable)]
        lines += [f"  {_name(row)} does not state: {', '.join(row.unstated)}" for row in comparable]
        lines += [""]
    rest = [row for row in answer.published if row.word == "incomparable"]
    if rest:
        lines += [f"{len(rest)} published rows of this network are incomparable; nearest:"]
        lines += [f"  {row.other}: {_why_not(row)}" for row in rest[:3]]
    return "\n".join(lines)


def _name(row: SpeedComparison) -> str:
    return row.other.partition(":")[0]


def _why_not(row: SpeedComparison) -> str:
    differs = [f"differs in {', '.join(row.differs)}"] if row.differs else []
    return "; ".join([*differs, f"not stated: {', '.join(row.unstated)}"])


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:,.1f}"


def _rows(title: str, rows: Sequence[SpeedComparison]) -> list[str]:
    cells = [
        (
            row.other,
            f"{row.other_images_per_s:,.1f}",
            _milliseconds(row.other_step_time_s),
            "-" if row.ratio is None else f"{row.ratio:.3f}",
            "-" if row.interval is None else f"[{row.interval.low:.3f}, {row.interval.high:.3f}]",
            row.word.replace("_", " ") + (f": {', '.join(row.differs)}" if row.differs else ""),
        )
        for row in rows
    ]
    header = (title, "images/s", "step, ms", "ours / that (images/s)", "95 % interval", "answer")
    return table(header, cells)
