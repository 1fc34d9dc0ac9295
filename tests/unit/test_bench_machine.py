"""Every benchmark names the machine it ran on and says when other work ran beside it."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from harness.cli import bench
from harness.measure import machine
from harness.workflows.bench_machine import BenchMachine, gpu_name, this_machine

QUIET = BenchMachine(
    cpu="A processor (1/2/3)",
    instruction_sets=("avx2",),
    cores=2,
    gpus=(),
    load_average_1min=0.1,
    tensorflow="2",
    git_commit=None,
    git_dirty=None,
)


@pytest.mark.parametrize(
    ("load", "busy", "said"),
    [
        (0.0, False, "load 0.0"),
        (0.3, False, "load 0.3"),
        (0.31, True, "BUSY"),
        (8.0, True, "load 8.0"),
        (None, False, "load unknown"),
    ],
)
def test_a_busy_machine_is_told(load: float | None, busy: bool, said: str) -> None:
    found = replace(QUIET, load_average_1min=load)
    assert found.document()["busy"] is busy
    assert said in found.text()
    assert ("BUSY" in found.text()) is busy


def test_gpus_are_named_in_both_of_the_drivers_forms() -> None:
    rows = ({"name": "Made-up GPU"}, {"Model": "Another GPU", "IRQ": "1"}, {})
    named = replace(QUIET, gpus=tuple(gpu_name(row) for row in rows))
    assert "2 cores, Made-up GPU, Another GPU, GPU;" in named.text()


def test_this_machine_is_what_the_system_tells() -> None:
    found = this_machine()
    assert found.cpu == machine.cpu_model()
    assert found.cores == machine.usable_cores()
    assert json.loads(json.dumps(found.document()))["instruction_sets"] == list(
        machine.instruction_sets()
    )


@pytest.mark.parametrize("as_json", [True, False])
def test_a_document_and_a_table_carry_it(monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    class Result:
        def document(self) -> dict[str, object]:
            return {"benchmark": "layers"}

        def text(self) -> str:
            return "a table"

    monkeypatch.setattr("harness.workflows.bench_layers.bench_layers", lambda *_: Result())
    monkeypatch.setattr(bench, "this_machine", lambda: QUIET)
    monkeypatch.setattr(bench, "_pin", lambda *_: None)
    options = ["step", "--layers", *(["--json"] if as_json else [])]
    shown = CliRunner().invoke(bench.command, options, catch_exceptions=False).stdout
    if as_json:
        assert json.loads(shown)["machine"] == json.loads(json.dumps(QUIET.document()))
    else:
        assert shown.splitlines() == ["a table", QUIET.text()]
