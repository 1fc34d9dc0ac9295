"""`harness gate`: two revisions, or two recordings, and whether speed was lost between them."""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

import harness
from harness.errors import MachineError, RecordError, UsageError
from harness.files import replace_text
from harness.system import parent
from harness.system.children import child_environment
from harness.system.git import git
from harness.verdict.speed import SpeedAnswer, SpeedRecord, judge_speed

PROCESSES = 8
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
    say: Say = lambda _text: None,
) -> SpeedAnswer:
    """Compare two recordings, or measure and compare two revisions of this checkout.

    Args:
        base: A JSON file written by `out`, or a git revision.
        head: The same; both files or both revisions.
        smallest_effect: A loss must be larger, as a fraction of base's time.
        out: Folder to keep the recordings in, as `base.json` and `head.json`.
        processes: Processes of each revision, in alternation.
        blocks: Blocks of each process.
        say: Told before each process.

    Raises:
        UsageError: a file and a revision, no such revision, or different machines.
        RecordError: a file that holds no recording.
        MachineError: a measurement failed.
    """
    files = [Path(base).is_file(), Path(head).is_file()]
    if all(files):
        records = (read_record(Path(base)), read_record(Path(head)))
    elif any(files):
        raise UsageError(
            "one of the two is a file, the other is not",
            expected="two recordings or two revisions",
            remedy="record the other one as well: harness gate REVISION REVISION --out DIR",
        )
    else:
        records = _measured(base, head, processes, blocks, say)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, record in zip(("base", "head"), records, strict=True):
            write_record(record, out / f"{name}.json")
    return judge_speed(*records, smallest_effect=smallest_effect)


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
    base: str, head: str, processes: int, blocks: int, say: Say
) -> tuple[SpeedRecord, SpeedRecord]:
    """Measure both in alternation; which of them is first changes from round to round."""
    root = checkout_root()
    with _worktree(root, base) as base_tree, _worktree(root, head) as head_tree:
        trees = {"base": (base, base_tree), "head": (head, head_tree)}
        found: dict[str, SpeedRecord] = {}
        for number in range(processes):
            for side in ("base", "head") if number % 2 == 0 else ("head", "base"):
                revision, tree = trees[side]
                say(f"round {number + 1} of {processes}: {side} ({revision})")
                record = measure_tree(revision, tree, blocks, say)
                found[side] = found[side].joined(record) if side in found else record
    return found["base"], found["head"]


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
