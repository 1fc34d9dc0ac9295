"""The page of long runs: its size, and time and memory of the process that draws it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.record_samples import SampleRun, write_run

SEEDS, LONG_STEPS = (1, 2, 3), 500_000
PAGE_BYTES, TIME_S, MEMORY_BYTES = 5e6, 20.0, 1e9

MEASURED = """
import json, resource, sys, time
begun = time.perf_counter()
from harness.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"time_s": time.perf_counter() - begun, "memory_bytes": peak}))
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "smoke-00000000"
    for seed in SEEDS:
        run = SampleRun(
            seed=seed, steps=LONG_STEPS, steps_per_epoch=LONG_STEPS // 90, spike=(333_333, 77.0)
        )
        write_run(folder / f"seed-{seed}", run)
    return folder


@pytest.mark.slow
def test_the_page_of_three_long_runs(
    benchmark: BenchmarkFixture, study: Path, tmp_path: Path
) -> None:
    """Under 5 MB, in under 20 s and 1 GB of a process of its own, imports included."""
    out = tmp_path / "page.html"

    def draw() -> dict[str, float]:
        words = [sys.executable, "-c", MEASURED, "report", str(study), "--out", str(out)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found

    found = benchmark.pedantic(draw, rounds=1)
    page = out.read_text(encoding="utf-8")
    benchmark.extra_info.update(found, page_bytes=len(page.encode()))
    assert "77.00" in page, "the spike of one step is lost"
    assert len(page.encode()) < PAGE_BYTES
    assert found["time_s"] < TIME_S
    assert found["memory_bytes"] < MEMORY_BYTES
