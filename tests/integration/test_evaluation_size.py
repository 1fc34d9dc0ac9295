"""The predictions of 50,000 images: bytes on disk and of memory."""

import json
import subprocess
import sys

WRITE_PREDICTIONS = """
import json, resource, sys, tempfile
from pathlib import Path
import numpy as np
from harness.evaluation.result import Collector
from harness.record.predictions import predictions_table, read_predictions, write_predictions

def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

before = peak_bytes()
random = np.random.RandomState(0)
collector = Collector(50_000)
for first in range(0, 50_000, 6):
    index = np.arange(first, min(first + 6, 50_000))
    classes = random.randint(0, 1000, (len(index), 5)).astype(np.int32)
    probabilities = random.rand(len(index), 5).astype(np.float32)
    label = random.randint(0, 1000, len(index)).astype(np.int32)
    collector.add(index, np.ones(len(index), bool), label, (classes, probabilities))
collector.check()
ids = [f"val/n{i % 1000:08}/ILSVRC2012_val_{i:08}.JPEG" for i in range(50_000)]
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "predictions.parquet"
    table = predictions_table(
        ids, collector.labels, collector.classes, collector.probabilities, {}
    )
    write_predictions(table, path)
    rows = read_predictions(path).num_rows
    print(json.dumps([rows, path.stat().st_size, peak_bytes() - before]))
"""


def test_fifty_thousand_predictions_are_small() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITE_PREDICTIONS], capture_output=True, text=True, check=True
    )
    rows, bytes_on_disk, bytes_of_memory = json.loads(done.stdout)
    assert rows == 50_000
    assert bytes_on_disk < 64e6
    assert bytes_of_memory < 1e9
    # Random numbers do not compress: 5 x (class, probability) and a label are 44 bytes a row.
    assert bytes_on_disk > 50_000 * 5 * 4
