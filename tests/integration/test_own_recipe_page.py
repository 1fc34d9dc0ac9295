"""docs/own-recipe.md from begin to end: its own commands, on a tiny network and few pictures."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.few_digits import every_nth_digit
from tests.filled_targets import filled

PAGE = Path(__file__).parents[2] / "docs" / "own-recipe.md"
PHASES = re.compile(r"^\[\[phases\]\].*?(?=\n\[optimizer\])", re.DOTALL | re.MULTILINE)
TINY = {
    'name = "he2015-resnet34-b"': 'name = "he2015-cifar-resnet20-a"',
    "image_size = 224": "image_size = 16",
    "batch = 256": "batch = 64", "short_side = [256, 481]": "short_side = [16, 20]",
    "short_sides = [256]": "short_sides = [16]", "crop_size = 224": "crop_size = 16",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    every_nth_digit(folder / "PICTURES", 8)
    return folder


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def edit(folder: Path) -> None:
    """What the page tells to edit, and everything made small."""
    path = folder / "my-resnet34.toml"
    (phases,) = blocks("toml")
    text = PHASES.sub(lambda _: phases.replace("epochs = 30", "epochs = 1"), path.read_text())
    for old, new in TINY.items():
        assert old in text
        text = text.replace(old, new)
    first, *others = re.split(r"\n(?=\[\[final_protocols\]\])", text)
    rest = others[-1][others[-1].index("\n[precision]") :]
    path.write_text("\n".join([first, others[0], rest]))


def test_the_commands_of_the_page_in_their_order(folder: Path) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert [line.split()[1] for line in lines] == [
        "recipe", "recipe", "target", "plan", "run", "verdict", "report", "bundle", "verify"
    ]  # fmt: skip
    said = {}
    for line in lines:
        done = shell(folder, line)
        allowed = {0, 1, 3} if " verdict " in line else {0}
        assert done.returncode in allowed, f"{line}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        said[line.split()[1]] = done.stdout
        if line.endswith("> my-resnet34.toml"):
            edit(folder)
        if line.endswith("> my-target.toml"):
            path = folder / "my-target.toml"
            path.write_text(filled(path.read_text()))
    assert "not reproduced" in said["verdict"].lower()
    assert "my-result" in said["verdict"]
    assert "my-result" in (folder / "my-result.html").read_text()
    assert "all equal" in said["verify"]
    (study,) = (folder / "runs").glob("my-resnet34-*")
    assert len(list(study.glob("seed-*/target-*.toml"))) == 3
    again = shell(folder, "harness reproduce my-target.toml --data PICTURES")  # the page's one step
    assert again.returncode == 1, again.stderr
    assert "my-result" in again.stdout
    assert "not reproduced" in again.stdout.lower()
