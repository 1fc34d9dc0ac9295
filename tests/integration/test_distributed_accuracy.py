"""Synchronised replicas reach one device's accuracy: no further apart than seeds are."""

import json
import math
import subprocess
import sys
from pathlib import Path
from statistics import mean, variance

import pytest
from scipy import stats

from harness.sources.digits import write_digits

pytestmark = pytest.mark.slow

SEEDS = (1, 2, 3, 4)
DEVICES = ("1", "cpu:2", "cpu:4")
PHASES = (
    {"epochs": 1, "rate": {"kind": "linear", "start": 0.0001, "end": 0.05}},
    {"epochs": 4, "rate": {"kind": "cosine", "start": 0.05, "alpha": 0.0001}},
)
CONFIDENCE = 0.999
WIDEST_BOUND = 0.03
"""A bound beyond it could hide a defect; the seeds' spread would have to be explained first."""


def top1_accuracies(devices: str, data: Path, runs: Path) -> list[float]:
    """Of each seed, center crop, after five passes over the digits."""
    words = [sys.executable, "-m", "harness", "run", "smoke", "--data", str(data), "--runs"]
    words += [str(runs), "--devices", devices, "--no-tracking", "--json"]
    words += ["--set", "model.batch_norm=synchronised", "--set", f"phases={json.dumps(PHASES)}"]
    words += [word for seed in SEEDS for word in ("--seed", str(seed))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [
        evaluation["top1_accuracy"]
        for seed in json.loads(done.stdout)["seeds"]
        for evaluation in seed["evaluations"]
        if evaluation["protocol"] == "center_crop"
    ]


def bound(samples: list[list[float]]) -> float:
    """Largest difference of two means of equal samples that seeds explain.

    Student's t with the variance pooled within the samples, which a difference between them
    does not enter: t(1 - a/2, k (n - 1)) s sqrt(2 / n).
    """
    n, k = len(samples[0]), len(samples)
    spread = math.sqrt(mean(variance(sample) for sample in samples))
    return float(stats.t.isf((1 - CONFIDENCE) / 2, k * (n - 1))) * spread * math.sqrt(2 / n)


def test_accuracy_does_not_depend_on_the_number_of_replicas(tmp_path: Path) -> None:
    write_digits(tmp_path / "digits")
    samples = [
        top1_accuracies(devices, tmp_path / "digits", tmp_path / f"runs-{number}")
        for number, devices in enumerate(DEVICES)
    ]
    assert [len(sample) for sample in samples] == [len(SEEDS)] * len(DEVICES)
    allowed = bound(samples)
    assert allowed < WIDEST_BOUND, samples
    for sample in samples[1:]:
        assert abs(mean(sample) - mean(samples[0])) <= allowed, samples
