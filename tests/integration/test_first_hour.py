"""A stranger's path in a fresh clone, with limits: `pytest -m slow -s tests/integration/test_first_hour.py`.

It installs some 3 GB from a package index and is meant for a machine that does nothing else.
`FIRST_HOUR_CLONE=DIR` keeps the clone there, so that single tests can follow (`-k own`).
"""  # noqa: E501

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from harness.sources.digits import digit_files
from tests.filled_targets import filled

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
MINUTES_5, MINUTES_2, UI_S, DISK_BYTES = 300.0, 120.0, 20.0, 3.5e9
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -q tox==4.67.15"
HARNESS = ".tox/smoke/bin/harness"


def shell(clone: Path, line: str, *, codes: tuple[int, ...] = (0,)) -> tuple[str, float]:
    """Run a line as a stranger types it; returns what it printed and the seconds that it took."""
    begun_s = time.monotonic()
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=clone, capture_output=True, text=True, check=False,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
    )  # fmt: skip
    took_s = time.monotonic() - begun_s
    print(f"{took_s:7.1f} s  {line}")
    assert done.returncode in codes, done.stdout + done.stderr
    return done.stdout + done.stderr, took_s


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("FIRST_HOUR_CLONE")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("first-hour") / "clone"
    if not folder.exists():
        subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    return folder


def disk_bytes(folder: Path) -> int:
    return sum(f.lstat().st_size for f in folder.rglob("*") if f.is_file() and not f.is_symlink())


def test_clone_to_the_verdict_of_the_smoke(clone: Path) -> None:
    _, installed_s = shell(clone, f"{INSTALL} && .venv/bin/tox -e smoke --notest")
    printed, smoke_s = shell(clone, ".venv/bin/tox -e smoke")
    assert "verdict: REPRODUCED" in printed
    assert "405 steps, bit for bit equal" in printed
    used_bytes = disk_bytes(clone)
    print(f"{used_bytes / 1e9:.2f} GB of disk, {disk_bytes(clone / 'runs') / 1e9:.2f} of them runs")
    missed = {
        "clone to verdict, s": (installed_s + smoke_s, MINUTES_5),
        "the smoke after the installation, s": (smoke_s, MINUTES_2),
        "disk, bytes": (used_bytes, DISK_BYTES),
    }
    assert not {what: of for what, of in missed.items() if of[0] >= of[1]}


def test_the_viewer_to_its_first_page(clone: Path) -> None:
    begun_s = time.monotonic()
    viewer = subprocess.Popen(
        [clone / HARNESS, "ui", "--runs", "runs", "--no-browser"],
        cwd=clone, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert viewer.stderr is not None
        page = next(line for line in viewer.stderr if line.startswith("newest study"))
        address = page.split(": ", 1)[1].partition("/#/")[0]
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert answer.status == 200
        took_s = time.monotonic() - begun_s
    finally:
        viewer.terminate()
        viewer.communicate(timeout=60)
    print(f"{took_s:7.1f} s  harness ui, to the newest study's page")
    assert took_s < UI_S


def test_own_pictures_to_a_page(clone: Path) -> None:
    for relative, jpeg in list(digit_files())[::2]:
        path = clone / "pictures" / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg)
    run = f"{HARNESS} run smoke --data pictures --seed 1"
    report = f"{HARNESS} report runs/smoke-* --out page.html --data pictures"
    _, took_s = shell(clone, f"rm -rf runs && {run} && {report}")
    assert "pictures" in (clone / "page.html").read_text()
    assert took_s < MINUTES_5


def test_own_recipe_and_target_to_a_verdict(clone: Path) -> None:
    show = f"{HARNESS} recipe show smoke --name mine > mine.toml"
    shell(clone, show)
    recipe = clone / "mine.toml"
    recipe.write_text(re.sub(r"epochs = \d+", "epochs = 1", recipe.read_text()))
    new = f"{HARNESS} target new --recipe mine.toml --name my-result --protocol center_crop"
    shell(clone, f"{new} --data pictures --kind threshold > target.toml")
    target = clone / "target.toml"
    target.write_text(filled(target.read_text()))
    shell(clone, f"{HARNESS} run mine.toml --data pictures --seed 1 --target target.toml")
    answer, _ = shell(clone, f"{HARNESS} verdict runs/mine-* --json", codes=(0, 1, 3))
    assert json.loads(answer)["target"] == "my-result"


if __name__ == "__main__":
    sys.exit(pytest.main(["-m", "slow", "-s", "-p", "no:cacheprovider", __file__]))
