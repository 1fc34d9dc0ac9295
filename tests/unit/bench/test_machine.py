"""Every benchmark names the machine it ran on and says when other work ran beside it."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner

from harness.bench.machine import BenchMachine, MachineWatch, Usage, gpu_name, usage
from harness.cli.speed import bench
from harness.measure import machine

QUIET = BenchMachine(
    cpu="A processor (1/2/3)",
    instruction_sets=("avx2",),
    cores=2,
    gpus=(),
    other_work_cores=0.01,
    tensorflow="2",
    git_commit=None,
    git_dirty=None,
)


@pytest.mark.parametrize(("cores", "busy"), [(0.0, False), (0.1, False), (0.11, True), (8, True)])
def test_a_busy_machine_is_told(cores: float, busy: bool) -> None:
    found = replace(QUIET, other_work_cores=cores)
    assert found.document()["busy"] is busy
    assert ("BUSY" in found.text()) is busy
    assert f"other work used {cores:.2f} cores" in found.text()


def test_other_work_is_what_was_not_our_own() -> None:
    readings = iter((Usage(10.0, 100.0, 5.0), Usage(20.0, 125.0, 23.0)))
    found = MachineWatch(lambda: next(readings)).machine()
    assert found.other_work_cores == pytest.approx((25 - 18) / 10)
    assert found.cpu == machine.cpu_model()
    assert found.cores == machine.usable_cores()


def test_ticks_that_round_against_us_are_no_negative_work() -> None:
    assert Usage(0.0, 0.0, 0.0).other_cores_until(Usage(1.0, 1.99, 2.0)) == 0.0


def test_work_of_children_is_our_own() -> None:
    before = usage()
    spin = "import time; end = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    subprocess.run([sys.executable, "-c", spin], check=True)
    after = usage()
    # Both differences are of clocks that count in ticks.
    assert after.own_s - before.own_s >= 0.48
    assert after.busy_s - before.busy_s >= 0.4


def test_gpus_are_named_in_both_of_the_drivers_forms() -> None:
    rows = ({"name": "Made-up GPU"}, {"Model": "Another GPU", "IRQ": "1"}, {})
    named = replace(QUIET, gpus=tuple(gpu_name(row) for row in rows))
    assert "2 cores, Made-up GPU, Another GPU, GPU;" in named.text()


@pytest.mark.parametrize("as_json", [True, False])
def test_a_document_and_a_table_carry_it(monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    class Result:
        def document(self) -> dict[str, object]:
            return {"benchmark": "layers"}

        def text(self) -> str:
            return "a table"

    monkeypatch.setattr("harness.bench.roofline.bench_layers", lambda *_, **__: Result())
    monkeypatch.setattr(MachineWatch, "machine", lambda _: QUIET)
    monkeypatch.setattr(bench, "_pin", lambda *_: None)
    options = ["step", "--layers", *(["--json"] if as_json else [])]
    shown = CliRunner().invoke(bench.command, options, catch_exceptions=False).stdout
    if as_json:
        document = json.loads(shown)
        assert document["machine"] == json.loads(json.dumps(QUIET.document()))
        assert "95 % interval" in document["figures"]["one way over another"]
    else:
        assert shown.splitlines() == ["a table", QUIET.text()]
