"""`harness gate`: two revisions, or two recordings, and whether speed was lost between them."""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

import harness
from harness.errors import MachineError, RecordError, UsageError
from harness.files import replace_text
from harness.system import parent
from harness.system.children import child_environment
from harness.system.git import git
from harness.verdict.speed import LOOKS, SpeedAnswer, SpeedRecord, judge_speed

PROCESSES = 8
MORE_PROCESSES = 4
"""At each further look, while the gate cannot tell: 8, 12 and 16 rounds."""

RELEASE = "9326c6b4cca56677b37ddf7e13678a4ee2219337"
"""The commit of version 0.2.0: losses too small to be called add up against it."""

BLOCKS = 4
"""Many processes rather than many blocks: a process differs from the next by more than its blocks
do from each other."""

LONGEST_S = 600
NOT_MEASURED = "is not measured:"
"""What the worker writes about a benchmark that a revision has no function for."""

WORKER = str(Path(__file__).with_name("process.py"))
PARENT = str(Path(parent.__file__))
RUN_WORKER = (
    "import runpy, sys; _, watch, pid, *sys.argv = sys.argv; "
    "runpy.run_path(watch)['end_with_parent'](int(pid)); "
    "runpy.run_path(sys.argv[0], None, '__main__')"
)
"""By path, because the revision's own package may know neither."""

Measure = Callable[[str, Path], SpeedRecord]
Say = Callable[[str], None]


def gate(
    base: str,
    head: str,
    *,
    smallest_effect: float,
    out: Path | None = None,
    processes: int = PROCESSES,
    blocks: int = BLOCKS,
    release: str | None = None,
    say: Say = lambda _text: None,
) -> SpeedAnswer:
    """Compare two recordings, or measure and compare two revisions of this checkout.

    Revisions are measured in rounds until the gate can tell, at most `LOOKS` times.

    Args:
        base: A JSON file written by `out`, or a git revision.
        head: The same; both files or both revisions.
        smallest_effect: A loss must be larger, as a fraction of base's time.
        out: Folder to keep the recordings in, as `base.json` and `head.json`.
        processes: Rounds before the first look: a process of each revision, in turns.
        blocks: Blocks of each process.
        release: A third revision, measured in the same rounds, that head is compared with too.
        say: Told before each process.

    Raises:
        UsageError: a file and a revision, no such revision, or different machines.
        RecordError: a file that holds no recording.
        MachineError: a measurement failed.
    """
    files = [Path(base).is_file(), Path(head).is_file()]
    if all(files):
        records = {"base": read_record(Path(base)), "head": read_record(Path(head))}
    elif any(files):
        raise UsageError(
            "one of the two is a file, the other is not",
            expected="two recordings or two revisions",
            remedy="record the other one as well: harness gate REVISION REVISION --out DIR",
        )
    else:
        revisions = {"base": base, "head": head, **({"release": release} if release else {})}
        records = _measured(revisions, processes, blocks, smallest_effect, say)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, record in records.items():
            write_record(record, out / f"{name}.json")
    return _judged(records, smallest_effect)


def _judged(records: dict[str, SpeedRecord], smallest_effect: float) -> SpeedAnswer:
    head = records["head"]
    answer = judge_speed(records["base"], head, smallest_effect=smallest_effect)
    if "release" not in records:
        return answer
    pinned = judge_speed(records["release"], head, smallest_effect=smallest_effect)
    return replace(answer, release=pinned)


def read_record(path: Path) -> SpeedRecord:
    """Read a recording.

    Raises:
        RecordError: it is none.
    """
    try:
        return SpeedRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RecordError(
            f"the file holds no recording of speed: {str(error).splitlines()[0]}",
            where=str(path),
            expected="a file that harness gate --out wrote",
        ) from error


def write_record(record: SpeedRecord, path: Path) -> None:
    """Write a recording to a temporary name, sync it and rename it."""
    replace_text(path, record.model_dump_json(indent=1) + "\n")


def _measured(
    revisions: dict[str, str], processes: int, blocks: int, smallest_effect: float, say: Say
) -> dict[str, SpeedRecord]:
    """Measure all in rounds; which of them is first changes from round to round."""
    root = checkout_root()
    with ExitStack() as stack:
        trees = {
            side: stack.enter_context(_worktree(root, revision))
            for side, revision in revisions.items()
        }
        found: dict[str, SpeedRecord] = {}
        most = processes + (LOOKS - 1) * MORE_PROCESSES
        for number in range(most):
            sides = list(revisions)
            for side in sides if number % 2 == 0 else reversed(sides):
                say(f"round {number + 1} of at most {most}: {side} ({revisions[side]})")
                record = measure_tree(revisions[side], trees[side], blocks, say)
                found[side] = found[side].joined(record) if side in found else record
            more = number + 1 - processes
            looks = more >= 0 and more % MORE_PROCESSES == 0
            if looks and _judged(found, smallest_effect).outcome != "cannot tell":
                break
    return found


def checkout_root() -> Path:
    """The checkout that this package runs from.

    Raises:
        UsageError: it runs from none.
    """
    root = Path(harness.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        raise UsageError(
            "the harness does not run from a git checkout",
            where=str(root),
            expected="a checkout whose revisions can be compared",
            remedy="compare two recordings instead",
        )
    return root


@contextmanager
def _worktree(root: Path, revision: str) -> Iterator[Path]:
    """A temporary folder with the revision's package."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "tree.tar"
        # A commit's own name: a revision is the user's word and may look like an option.
        answer = git(root, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        if answer.output is not None:
            answer = git(root, "archive", "-o", str(archive), answer.output, "harness")
        if answer.output is None:
            raise UsageError(
                f"{revision} is no revision of this checkout and no file: {answer.problem}",
                where=str(root),
                expected="a commit, branch or tag, or a recording",
                remedy="see `git log --oneline`",
            )
        with tarfile.open(archive) as tree:
            tree.extractall(folder, filter="data")
        yield Path(folder)


def measure_tree(
    revision: str, tree: Path, blocks: int, say: Say = lambda _text: None
) -> SpeedRecord:
    """Measure the package in `tree` in a process of its own.

    Args:
        revision: Its name.
        tree: Folder that holds the package.
        blocks: Blocks to measure.
        say: Told of each benchmark that the revision has no function for.

    Raises:
        MachineError: the process failed.
    """
    environ = {
        **child_environment(first=tree),
        "TF_ENABLE_ONEDNN_OPTS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", RUN_WORKER, PARENT, str(os.getpid()), WORKER, str(blocks)],
            cwd=tree,
            env=environ,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (error.stderr or b"") if isinstance(error.stderr, bytes) else (error.stderr or "")
        last = str(said).strip().splitlines()[-1:] or ["no message"]
        raise MachineError(
            f"the measurement of {revision} failed: {last[0]}",
            expected="a revision whose step runs on this machine",
        ) from error
    for line in done.stderr.splitlines():
        if NOT_MEASURED in line:
            say(f"{revision}: {line}")
    measured = json.loads(done.stdout.strip().splitlines()[-1])
    return SpeedRecord.model_validate_json(json.dumps({"revision": revision, **measured}))
