"""The speed gate's answers from recorded blocks."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from harness.bench.regression.revisions import BLOCKS, PROCESSES, gate, read_record, write_record
from harness.cli.speed.gate import command
from harness.errors import RecordError, UsageError
from harness.verdict.speed import SpeedRecord, Timings, judge_speed

MACHINE = "a processor; 2+2 threads"


def timings(
    seconds: float, *, blocks: int = 24, spread: float = 0.01, seed: int = 0, drift: float = 0.0
) -> Timings:
    """Blocks with independent noise; `drift` slows work and kernel alike."""
    generator = np.random.default_rng(seed)
    weather = 1 + drift * np.linspace(0, 1, blocks)
    work = seconds * weather * np.exp(spread * generator.standard_normal(blocks))
    kernel = 0.01 * weather * np.exp(spread * generator.standard_normal(blocks))
    return Timings(block_s=tuple(work.tolist()), calibration_s=tuple(kernel.tolist()))


def record(revision: str, **benchmarks: Timings) -> SpeedRecord:
    return SpeedRecord(revision=revision, machine=MACHINE, benchmarks=benchmarks)


@pytest.mark.parametrize(
    ("factor", "outcome"),
    [
        (1.0, "no loss above bound"),
        (1.15, "loss"),
        (1.10, "loss"),
        (0.85, "gain"),
        (1.02, "no loss above bound"),
    ],
    ids=["equal", "15 % slower", "10 % slower", "15 % faster", "below the smallest effect"],
)
def test_planted_changes(factor: float, outcome: str) -> None:
    base = record("base", step=timings(0.1, seed=1), forward=timings(0.02, seed=2))
    head = record("head", step=timings(0.1 * factor, seed=3), forward=timings(0.02, seed=4))
    answer = judge_speed(base, head)
    assert answer.outcome == outcome
    named = {a.name: a.outcome for a in answer.benchmarks}
    assert named["step"] == outcome
    assert named["forward"] == "no loss above bound"


def test_a_machine_that_slows_down_is_no_loss() -> None:
    base = record("base", step=timings(0.1, seed=1))
    slow = timings(0.1, seed=2, drift=0.6)
    assert judge_speed(base, record("head", step=slow)).outcome == "no loss above bound"
    bare = Timings(block_s=slow.block_s, calibration_s=timings(0.1, seed=2).calibration_s)
    assert judge_speed(base, record("head", step=bare)).outcome != "no loss above bound"


def test_noise_that_could_hide_a_loss_cannot_tell() -> None:
    base = record("base", step=timings(0.1, spread=0.3, blocks=8, seed=1))
    head = record("head", step=timings(0.1, spread=0.3, blocks=8, seed=2))
    assert judge_speed(base, head).outcome == "cannot tell"


def test_too_few_blocks_cannot_tell() -> None:
    few = record("base", step=timings(0.1, blocks=3))
    answer = judge_speed(few, few)
    assert answer.outcome == "cannot tell"
    assert "fewer than" in answer.text()


def test_a_benchmark_that_head_lost_could_hide_a_loss() -> None:
    both = record("base", step=timings(0.1, seed=1), forward=timings(0.2, seed=2))
    one = record("head", forward=timings(0.2, seed=3))
    answer = judge_speed(both, one)
    assert answer.outcome == "cannot tell"
    assert "step           cannot tell: measured in base only" in answer.text()
    assert judge_speed(one, both).outcome == "no loss above bound"


def test_small_losses_that_add_up_are_seen_against_the_release() -> None:
    head = record("head", step=timings(0.108, seed=3))
    step = judge_speed(record("base", step=timings(0.105, seed=1)), head)
    pinned = judge_speed(record("0.2.0", step=timings(0.1, seed=2)), head)
    assert (step.outcome, pinned.outcome) == ("no loss above bound", "loss")
    both = replace(step, release=pinned)
    assert both.outcome == "loss"
    assert "0.2.0 -> head: loss" in both.text()
    assert both.document()["release"]["base"] == "0.2.0"


def test_no_common_benchmark_is_nothing_measured() -> None:
    answer = judge_speed(record("a", step=timings(0.1)), record("b", other=timings(0.1)))
    assert answer.outcome == "nothing measured"


def test_records_of_different_machines_are_not_compared() -> None:
    here = record("a", step=timings(0.1))
    there = here.model_copy(update={"machine": "another"})
    with pytest.raises(UsageError, match="different machines"):
        judge_speed(here, there)


@pytest.mark.parametrize(
    ("block_s", "calibration_s"), [((1.0, 2.0), (1.0,)), ((0.0,), (1.0,)), ((1.0,), (-1.0,))]
)
def test_impossible_timings_are_refused(
    block_s: tuple[float, ...], calibration_s: tuple[float, ...]
) -> None:
    with pytest.raises(ValidationError):
        Timings(block_s=block_s, calibration_s=calibration_s)


def test_records_of_several_processes_are_joined_in_order() -> None:
    first = record("a", step=timings(0.1, blocks=2, seed=1))
    second = record("a", step=timings(0.1, blocks=3, seed=2), forward=timings(0.2, blocks=3))
    joined = first.joined(second)
    assert joined.benchmarks["step"].block_s == (
        first.benchmarks["step"].block_s + second.benchmarks["step"].block_s
    )
    assert len(joined.benchmarks["forward"].block_s) == 3


@pytest.mark.parametrize(
    ("head", "code", "word"),
    [
        (record("head", step=timings(0.1, seed=5)), 0, "no loss above 10 %"),
        (record("head", step=timings(0.115, seed=5)), 1, "step"),
        (record("head", step=timings(0.1, blocks=3)), 3, "are no rounds"),
        (record("head", other=timings(0.1)), 5, "nothing measured"),
    ],
    ids=["no loss", "loss", "cannot tell", "nothing measured"],
)
def test_each_answer_has_its_exit_code(
    tmp_path: Path, head: SpeedRecord, code: int, word: str
) -> None:
    write_record(record("base", step=timings(0.1, seed=1)), tmp_path / "base.json")
    write_record(head, tmp_path / "head.json")
    paths = [str(tmp_path / f"{name}.json") for name in ("base", "head")]
    plain = CliRunner().invoke(command, paths)
    assert (plain.exit_code, word in plain.output) == (code, True)
    as_json = CliRunner().invoke(command, [*paths, "--json"])
    outcome = {0: "no loss above bound", 1: "loss", 3: "cannot tell"}.get(code, word)
    assert json.loads(as_json.stdout)["outcome"] == outcome


def test_the_command_measures_what_the_error_rates_are_of() -> None:
    defaults = {option.name: option.default for option in command.params}
    assert (defaults["processes"], defaults["blocks"]) == (PROCESSES, BLOCKS)


def test_the_unit_is_a_process_whatever_its_number_of_blocks() -> None:
    step = Timings(
        block_s=(2.0, 4.0, 30.0, 8.0),
        calibration_s=(2.0, 2.0, 10.0, 2.0),
        blocks_by_process=(3, 1),
    )
    assert step.normalised() == (2.0, 4.0)
    assert step.joined(step).normalised() == (2.0, 4.0, 2.0, 4.0)
    assert timings(0.1, blocks=7).joined(timings(0.1, blocks=2)).blocks == (1,) * 9


def test_a_slow_process_is_no_loss() -> None:
    """Twenty blocks of one slow process among five are one observation, not twenty."""

    def five(slow: float) -> Timings:
        parts = [timings(0.1 * (slow if n == 4 else 1), blocks=20, seed=n) for n in range(5)]
        return Timings(
            block_s=sum((p.block_s for p in parts), ()),
            calibration_s=sum((p.calibration_s for p in parts), ()),
            blocks_by_process=(20,) * 5,
        )

    base, head = record("base", step=five(1.0)), record("head", step=five(1.4))
    assert judge_speed(base, head).outcome == "cannot tell"
    loose = five(1.4).model_copy(update={"blocks_by_process": ()})
    bare = five(1.0).model_copy(update={"blocks_by_process": ()})
    assert judge_speed(record("a", step=bare), record("b", step=loose)).outcome == "loss"


@pytest.mark.parametrize("shares", [(1, 2), (3, 0), (4,)], ids=["too many", "none", "one of four"])
def test_processes_share_out_all_blocks(shares: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="share out"):
        Timings(block_s=(1.0, 2.0), calibration_s=(1.0, 1.0), blocks_by_process=shares)


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    kept = record("base", step=timings(0.1))
    write_record(kept, tmp_path / "base.json")
    assert read_record(tmp_path / "base.json") == kept
    assert [p.name for p in tmp_path.iterdir()] == ["base.json"]


@pytest.mark.parametrize("text", ["", "{}", "[1, 2]", '{"schema_version": 2}'])
def test_a_file_that_is_no_record_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=r"x\.json"):
        read_record(path)


def test_a_file_and_a_revision_are_not_compared(tmp_path: Path) -> None:
    write_record(record("a", step=timings(0.1)), tmp_path / "base.json")
    with pytest.raises(UsageError, match="one of the two is a file"):
        gate(str(tmp_path / "base.json"), "HEAD", smallest_effect=0.05)
