"""Data, the run that nothing interrupts, and the table that is printed at the end."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import pytest

from tests.faults.command import Bits, Command, bits_of, check_counted_once
from tests.few_digits import digits_of_classes

CLASSES = 4
IMAGES = {"train": 20, "val": 6}


@dataclass(frozen=True)
class Row:
    """One fault as it is told at the end."""

    fault: str
    moment: str
    outcome: str
    bits_equal: bool | None
    exit_code: int


PROPERTY = "fault"


@pytest.fixture
def table(record_property: Callable[[str, object], None]) -> Iterator[list[Row]]:
    """Rows go with the test's report, which crosses processes."""
    rows: list[Row] = []
    yield rows
    for row in rows:
        record_property(PROPERTY, list(astuple(row)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = [
        Row(*value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown"
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    if not rows:
        return
    lines = [("fault", "moment", "outcome", "bits equal", "exit code")]
    words = {True: "yes", False: "NO", None: "-"}
    lines += [(r.fault, r.moment, r.outcome, words[r.bits_equal], str(r.exit_code)) for r in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(5)]
    terminalreporter.section("faults")
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        terminalreporter.write_line("  ".join(cells).rstrip())


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty training and twenty-four validation digits of four classes."""
    return digits_of_classes(tmp_path_factory.mktemp("data") / "digits", CLASSES, **IMAGES)


@dataclass(frozen=True)
class Reference:
    """A run that nothing interrupted."""

    command: Command
    bits: Bits

    def copy(self, place: Path) -> Command:
        """A copy of the run, to be damaged."""
        shutil.copytree(self.command.runs, place / "runs")
        return Command(self.command.data, place / "runs")


@dataclass(frozen=True)
class Stopped:
    """A run that `--steps` stopped after step 14; its checkpoints are of steps 10, 12 and 14."""

    command: Command
    bits: Bits

    def copy(self, place: Path) -> Command:
        """A copy of the run, to be damaged."""
        shutil.copytree(self.command.runs, place / "runs")
        return Command(self.command.data, place / "runs")


@pytest.fixture(scope="session")
def stopped(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    runs = tmp_path_factory.mktemp("stopped") / "runs"
    ended = Command(digits, runs, extra=("--no-tracking", "--steps", "14")).finish()
    assert ended.exit_code == 0, ended.stderr
    command = Command(digits, runs)
    return Stopped(command, bits_of(command.journal()))


@pytest.fixture(scope="session")
def uninterrupted(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    command = Command(digits, tmp_path_factory.mktemp("uninterrupted") / "runs")
    ended = command.finish()
    assert ended.exit_code == 0, ended.stderr
    journal = command.journal()
    check_counted_once(journal)
    return Reference(command, bits_of(journal))
