"""Measurements in real processes, on a network small enough for a test."""

import json
import subprocess
import sys

import pytest

from harness.bench.step_job import StepJob
from harness.bench.step_process import measure_in_own_process
from harness.errors import MachineError


def job(variant: str, **changes: object) -> StepJob:
    small = {"model": "apm5-resnet18-v2", "image_size": 32, "batch": 2, "classes": 10}
    return StepJob.model_validate({"variant": variant, "warmup": 1, "steps": 2, **small, **changes})


def test_the_reference_as_shipped_runs_without_onednn() -> None:
    found = measure_in_own_process(job("reference"))
    assert not found.onednn
    assert len(found.step_time_s) == 2
    assert found.images_per_s == pytest.approx(4 / sum(found.step_time_s))
    assert 0 < found.share_of_gemm_peak < 1


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["reference-onednn", "plain-keras", "ours", "keras-fit"])
def test_every_other_variant_runs_with_onednn(variant: str) -> None:
    found = measure_in_own_process(job(variant, image_size=64))
    assert found.onednn
    assert all(seconds > 0 for seconds in found.step_time_s)


def test_a_measurement_that_fails_says_why() -> None:
    with pytest.raises(MachineError, match="no-such-model"):
        measure_in_own_process(job("ours", model="no-such-model"))


@pytest.mark.slow
def test_the_command_prints_one_json_document() -> None:
    command = [
        sys.executable, "-m", "harness", "bench", "step", "--model", "apm5-resnet18-v2",
        "--image-size", "32", "--batch", "2", "--steps", "1", "--rounds", "2",
        "--against", "reference", "--json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=900)
    document = json.loads(done.stdout)
    for name in ("ratio_vs_reference", "ratio_vs_reference_onednn", "ratio_vs_plain_keras"):
        assert document[name]["low"] <= document[name]["median"] <= document[name]["high"]
    assert document["images_per_s"]["median"] > 0
