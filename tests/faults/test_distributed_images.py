"""Each image of a pass once over all workers, though their number changes within the pass."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.distributed.cluster import TF_CONFIG, Cluster
from harness.distributed.launcher import free_addresses
from tests.faults.command import (
    STEPS,
    STEPS_PER_EPOCH,
    Command,
    check_counted_once,
    kill,
    wait_for_step,
)
from tests.faults.drivers import SEEN

pytestmark = pytest.mark.slow

KILLED_AFTER, ASKED_TO_STOP = 14, 25
"""In the middle of the second and of the third pass of ten steps."""

Images = dict[int, list[str]]


@dataclass(frozen=True)
class Team:
    """The same command as each worker of a job; each tells the images that it trains on."""

    command: Command
    files: Path
    workers: int

    def commands(self) -> Iterator[Command]:
        addresses = free_addresses(self.workers)
        for worker in range(self.workers):
            told = (SEEN, str(self.files / f"{self.workers}-{worker}.jsonl"))
            config = (TF_CONFIG, Cluster(addresses, worker).tf_config())
            environment = (told, config) if self.workers > 1 else (told,)
            yield replace(self.command, fault="seen_images", environment=environment)

    def finish(self) -> list[int]:
        processes = [(command, command.start()) for command in self.commands()]
        return [command.finish(process).exit_code for command, process in processes]

    def images(self) -> Images:
        """Of each step that every worker began, the ids in the order of the global batch."""
        shares = [
            dict(json.loads(line) for line in path.read_text().splitlines())
            for path in sorted(self.files.glob(f"{self.workers}-*.jsonl"))
        ]
        assert len(shares) == self.workers
        steps = set.intersection(*(set(share) for share in shares))
        return {step: [i for share in shares for i in share[step]] for step in steps}


def test_each_image_is_seen_once_across_a_kill_and_other_numbers_of_workers(
    digits: Path, tmp_path: Path
) -> None:
    options = ("--no-tracking", "--accept-numerics")
    command = Command(digits, tmp_path / "runs", extra=options)
    two = Team(command, tmp_path, 2)
    processes = [(one, one.start()) for one in two.commands()]
    assert wait_for_step(*processes[0], KILLED_AFTER)
    assert kill(processes[1][1]).exit_code == -9
    assert processes[0][0].finish(processes[0][1]).exit_code == 75
    recorded = command.journal().last_step

    stopping = replace(command, extra=(*options, "--steps", str(ASKED_TO_STOP)))
    four, one = Team(stopping, tmp_path, 4), Team(command, tmp_path, 1)
    assert four.finish() == [0] * 4
    assert one.finish() == [0]
    journal = command.journal()
    check_counted_once(journal)
    resumes = [e for e in journal.interruptions if e.event == "resumed"]
    assert [e.numerics.workers for e in resumes] == [4, 1]
    first, second = (e.step for e in resumes)
    assert first % STEPS_PER_EPOCH
    assert second == ASKED_TO_STOP

    before, between, after = two.images(), four.images(), one.images()
    assert set(range(recorded)) <= set(before)
    for step in range(first, recorded):  # computed again, by other workers
        assert before[step] == between[step]
    trained = [
        (before if step < first else between if step < second else after)[step]
        for step in range(STEPS)
    ]
    everything = set(trained[0]).union(*trained)
    assert len(everything) == 8 * STEPS_PER_EPOCH
    for begin in range(0, STEPS, STEPS_PER_EPOCH):
        seen = Counter(i for step in trained[begin : begin + STEPS_PER_EPOCH] for i in step)
        assert seen == Counter(everything)
