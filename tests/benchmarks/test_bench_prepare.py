"""How fast a preparation hashes and inspects, beside what hashing and a header parse take at least.

Files are in the page cache; both ways use two threads and take turns.
"""

import hashlib
import shutil
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.data.building import build
from harness.data.image_files.jpeg_header import read_jpeg_header
from harness.sources.detection import find_folder
from tests.parity.generated_images import jpeg_bytes, picture
from tests.shared_data import SHARED

IMAGES = 3000
ROUNDS = 3
THREADS = 2
LEAST_BYTES_PER_S = 300e6
LEAST_SHARE = 0.80


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ImageNet photographs where they are at hand, else generated ones of the same size."""
    sample = sorted((SHARED / "data" / "imagenet-sample").glob("*.JPEG"))
    contents = [path.read_bytes() for path in sample] or [
        jpeg_bytes(picture(375, 500, n)) for n in range(32)
    ]
    root = tmp_path_factory.mktemp("photographs")
    for number in range(IMAGES):
        split = "val" if number // 10 % 20 == 0 else "train"
        path = root / split / f"class-{number % 10}" / f"{number:05d}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[number % len(contents)])
    return root


def least(path: Path) -> int:
    raw = path.read_bytes()
    hashlib.sha256(raw).hexdigest()
    read_jpeg_header(raw)
    return len(raw)


@pytest.mark.slow
def test_a_preparation_keeps_near_the_hash(
    benchmark: BenchmarkFixture, folder: Path, tmp_path: Path
) -> None:
    files = sorted(folder.rglob("*.JPEG"))
    size = sum(path.stat().st_size for path in files)
    bounds: list[float] = []
    rates: list[float] = []

    def bound() -> None:
        begun = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            assert sum(pool.map(least, files, chunksize=50)) == size
        bounds.append(size / (time.perf_counter() - begun))
        shutil.rmtree(tmp_path / "out", ignore_errors=True)

    def prepare() -> None:
        begun = time.perf_counter()
        build(find_folder(folder), tmp_path / "out", workers=THREADS)
        rates.append(size / (time.perf_counter() - begun))

    build(find_folder(folder), tmp_path / "warm", workers=THREADS)
    benchmark.pedantic(prepare, setup=bound, rounds=ROUNDS)
    share = statistics.median(r / b for r, b in zip(rates, bounds, strict=True))
    benchmark.extra_info |= {"bytes_per_s": rates, "bound_bytes_per_s": bounds, "share": share}
    assert statistics.median(rates) >= LEAST_BYTES_PER_S or share >= LEAST_SHARE
