"""The gate on real timings of real trees."""

import shutil
from pathlib import Path

import pytest

from harness.bench.regression import process
from harness.bench.regression.revisions import checkout_root, gate, measure_tree
from harness.errors import MachineError, UsageError
from harness.verdict.speed import judge_speed


def test_a_block_is_two_medians_of_alternating_work() -> None:
    order: list[str] = []
    clock = iter(float(i) for i in range(100))
    work_s, kernel_s = process.block(
        lambda: order.append("work"), lambda: order.append("kernel"), lambda: next(clock)
    )
    assert (work_s, kernel_s) == (1.0, 1.0)
    assert order == ["work", "kernel"] * process.REPETITIONS


def test_a_revision_that_does_not_exist_is_named() -> None:
    if not (Path(process.__file__).parents[3] / ".git").exists():
        pytest.skip("the harness does not run from a git checkout here")
    with pytest.raises(UsageError, match="no-such-revision"):
        gate("no-such-revision", "HEAD", smallest_effect=0.05)


def test_a_tree_without_a_harness_fails_in_words(tmp_path: Path) -> None:
    package = tmp_path / "harness"
    package.mkdir()
    (package / "__init__.py").write_text('raise RuntimeError("broken revision")\n')
    with pytest.raises(MachineError, match="broken revision"):
        measure_tree("broken", tmp_path, blocks=1)


def test_a_function_that_a_revision_lacks_is_told(tmp_path: Path) -> None:
    """A tree of the worker's own package without its networks: only what it has is timed."""
    package = tmp_path / "harness"
    shutil.copytree(
        checkout_root() / "harness", package, ignore=shutil.ignore_patterns("__pycache__")
    )
    (package / "models" / "build.py").write_text("")
    told: list[str] = []
    record = measure_tree("bare", tmp_path, blocks=1, say=told.append)
    assert set(record.benchmarks) == {"fingerprint"}
    assert [line.split(":")[0:2] for line in told] == [
        ["bare", " step is not measured"],
        ["bare", " forward is not measured"],
    ]


@pytest.mark.slow
def test_this_tree_is_measured_whole() -> None:
    record = measure_tree("here", checkout_root(), blocks=5)
    assert set(record.benchmarks) == {"step", "forward", "fingerprint"}
    assert all(len(t.block_s) == 5 for t in record.benchmarks.values())
    assert all(t.blocks_by_process == (5,) for t in record.benchmarks.values())
    assert judge_speed(record, record).outcome == "cannot tell"
