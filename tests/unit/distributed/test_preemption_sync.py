"""Workers that run against each other as reductions make them, and stop at one step."""

import random
import threading

import pytest

from harness.distributed.preemption_sync import StepGate


class Reduction:
    """Holds everyone in a step until all have begun it, as a collective does."""

    def __init__(self, workers: int) -> None:
        self.barrier = threading.Barrier(workers)

    def run(self) -> None:
        self.barrier.wait(20)


def work(gate: StepGate, reduction: Reduction, steps: int, ended: list[int]) -> None:
    done = 0
    while done < steps:
        reduction.run()
        done += 1
        if gate.stops(done):
            break
    ended.append(done)


@pytest.mark.parametrize("seed", range(40))
def test_all_workers_stop_after_the_same_step_and_nobody_hangs(seed: int) -> None:
    draw = random.Random(seed)
    workers, steps = draw.choice([2, 3, 5]), 400
    gates = [StepGate() for _ in range(workers)]
    reduction, ended = Reduction(workers), list[int]()
    threads = [
        threading.Thread(target=work, args=(gate, reduction, steps, ended), daemon=True)
        for gate in gates
    ]
    for thread in threads:
        thread.start()
    for _ in range(draw.randrange(3000)):
        pass
    order = draw.sample(range(workers), workers)
    begun = [gates[i].freeze() for i in order]
    for i in draw.sample(range(workers), workers):
        gates[i].release(max(begun))
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert len(ended) == workers
    assert len(set(ended)) == 1


def test_the_same_question_has_the_same_answer() -> None:
    gate = StepGate()
    assert not gate.stops(3)
    assert not gate.stops(3)
    assert gate.freeze() == 4
    gate.release(4)
    assert not gate.stops(3)
    assert gate.stops(4)
    assert gate.stops(4)


def test_a_job_that_has_not_begun_stops_after_its_first_step() -> None:
    gate = StepGate()
    assert gate.freeze() == 0
    gate.release(0)
    assert gate.stops(501)
