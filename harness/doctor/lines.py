"""What the doctor reports: a line for each thing that was looked at."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.errors import HarnessError

State = Literal["ok", "note", "slow", "wrong"]
"""Good; worth knowing; works and costs time; does not work."""
ASK = "report it with the output of `harness doctor --json`"


@dataclass(frozen=True)
class Line:
    """One thing that was looked at.

    Attributes:
        name: What.
        state: How it stands.
        found: What was found, one sentence.
        remedy: What helps; None where nothing needs to.
        figures: Numbers behind the sentence, units in their names.
    """

    name: str
    state: State
    found: str
    remedy: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return {
            "name": self.name,
            "state": self.state,
            "found": self.found,
            "remedy": self.remedy,
            "figures": self.figures,
        }

    @classmethod
    def of(cls, document: dict[str, Any]) -> "Line":
        """Read what `document` wrote."""
        return cls(**document)

    def text(self) -> str:
        """For a person."""
        told = f"{self.state:5}  {self.name:16} {self.found}"
        return f"{told}\n{'':24}{self.remedy}" if self.remedy else told


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was looked at.

    Attributes:
        lines: In the order in which they were looked at.
        duration_s: How long it took.
        environment: Of the process that computed, where it could tell.
    """

    lines: tuple[Line, ...]
    duration_s: float
    environment: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0, or 2 where something is wrong."""
        return 2 if any(line.state == "wrong" for line in self.lines) else 0

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return {
            "exit_code": self.exit_code,
            "duration_s": round(self.duration_s, 1),
            "lines": [line.document() for line in self.lines],
            "environment": self.environment,
        }

    def summary(self) -> str:
        """How many lines stand how, for a person."""
        states = [line.state for line in self.lines]
        counts = ", ".join(
            f"{states.count(s)} {s}" for s in ("ok", "note", "slow", "wrong") if s in states
        )
        return f"{counts}; {self.duration_s:.0f} s"


def guarded(name: str, probe: Callable[[], Line]) -> Line:
    """The probe's line; an exception of any kind becomes a line that is wrong.

    A new machine fails in unknown ways, and all other lines still count.
    """
    try:
        return probe()
    except HarnessError as error:
        return Line(name, "wrong", error.found, error.remedy or ASK)
    except Exception as error:  # noqa: BLE001 - whatever a machine does is what is asked for
        words = str(error).strip().splitlines()[:1] or ["no words"]
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename.rpartition('/')[2]}:{place.lineno}"
        return Line(name, "wrong", f"{type(error).__name__}: {words[0]} ({where})", ASK)
