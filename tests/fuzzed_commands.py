"""Random command lines over random files in random environments, in one process.

`python -m tests.fuzzed_commands SEED COUNT FOLDER` calls the command line so often and
prints a JSON line for each that broke a promise; what it draws follows from the seed.
Commands that would work for minutes are given an option that they refuse.
"""

import hashlib
import io
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from harness.cli import main as cli
from harness.cli.options import LocalPath

ROOT = Path(__file__).parents[1]
JOURNALS = ROOT / "tests/data/journals"
SMOKE = ROOT / "reports/smoke-digits/runs/smoke-95a37860"
"""Three real runs, with predictions and certificates beside their journals."""
LONG_COMMANDS = {"smoke", "reproduce", "bench", "doctor", "ui", "study", "run"}
"""Never with everything right: they would train, measure or serve."""

CODES = {0, 1, 2, 3, 4, 75}
ONE_MEANS = {
    "verdict": "NOT REPRODUCED",
    "diff": "",
    "certify": "",
    "verify": "",
    "compare": "",
    "gate": "",
}
WORDS = (
    "", "-", "--", "0", "-1", "1e999", "nan", "9" * 30, "1" * 5000,
    "a\udcffb", "\U0001f600", "a\nb",
    "%s%n", "../../etc/passwd", "$HOME", "~nobody/x", "[red]x[/red]", "<script>", "'; DROP", "a b",
    "smoke", "apm5-resnet50", "ten_crop", "imagenet", "all", "cpu:3", "batch=8", "batch=", "=8",
    "model.image_size=[", "phases={", "1,2", "0-3", "3-1", "HEAD", "--output=x", "http://[::1",
    "localhost:5000", "sqlite:///", "postgresql+nosuch://u:pw@h/d", "caffe", "torch", "json",
)  # fmt: skip
VARIABLES = {
    "HOME": ("/nonexistent", "/dev/null", ""),
    "TZ": ("Pacific/Kiritimati", "nonsense"),
    "LC_ALL": ("C", "xx_YY"),
    "COLUMNS": ("0", "-5", "9" * 9, "x"),
    "TF_CONFIG": ("{", "[]", '{"cluster": {"worker": ["a:1"]}}', "\x7f"),
    "MLFLOW_TRACKING_URI": ("./mlruns", "http://h:99999", "file:///x", ""),
    "CUDA_VISIBLE_DEVICES": ("", "7", "none", "0,0"),
    "IMAGENET_DIR": ("/nonexistent", ""),
    "SLURM_STEP_NUM_TASKS": ("2", "x"),
    "HARNESS_CORES": ("0", "x", "2"),
    "GIT_DIR": ("/nonexistent",),
    "http_proxy": ("http://127.0.0.1:9",),
    "KERAS_BACKEND": ("jax",),
}


def damaged(raw: bytes, draw: random.Random) -> bytes:
    """Bytes changed, cut, doubled or replaced."""
    data = bytearray(raw)
    match draw.randrange(7):
        case 0:
            for _ in range(draw.randint(1, 20)):
                data[draw.randrange(len(data))] = draw.randrange(256)
        case 1:
            del data[draw.randrange(len(data)) :]
        case 2:
            begin = draw.randrange(len(data))
            data[begin:begin] = data[begin : begin + 5000]
        case 3:
            data = bytearray(draw.randbytes(draw.randint(0, 2000)))
        case 4:
            data = bytearray(b'{"event":"run_started",' + b"[" * draw.choice((10, 5000)))
        case 5:
            data = bytearray(b"\xef\xbb\xbf" + raw)
        case _:
            digits = [i for i, byte in enumerate(data) if 48 <= byte <= 57]
            for place in draw.sample(digits, min(3, len(digits))):
                data[place] = 48 + draw.randrange(10)
    return bytes(data)


INTEGERS = (0, 1, 2, 10, -3, 2**40)
REALS = (0.0, 0.5, 1.0, -1.0, 1e308)
VALUES = (
    None, True, 0, -1, 10**30, 1.5, float("nan"), float("inf"), "", "x", "a" * 3000, "../..",
    "0" * 64, "<b>&", [], [1], ["x"] * 3, {}, {"x": 1}, [[[]]],
)  # fmt: skip


def altered(raw: bytes, draw: random.Random) -> bytes:
    """Lines of JSON in which a few values are others, are gone or are there twice."""
    lines = raw.splitlines()
    for place in draw.sample(range(len(lines)), min(draw.randint(1, 3), len(lines))):
        document = json.loads(lines[place])
        inner = document
        while True:
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            if not keys:
                break
            key = draw.choice(keys)
            if isinstance(inner[key], (dict, list)) and inner[key] and draw.random() < 0.8:
                inner = inner[key]
                continue
            if draw.random() < 0.2:
                del inner[key]
            else:
                inner[key] = draw.choice(VALUES)
            break
        lines[place] = json.dumps(document).encode()
    if draw.random() < 0.2:
        lines.insert(draw.randrange(len(lines)), draw.choice(lines))
    return b"\n".join(lines) + b"\n"


def make_files(folder: Path, draw: random.Random) -> list[Path]:
    """A fresh set of good and damaged files; returns the paths that commands may be given."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    study = draw.choice([*sorted(JOURNALS.iterdir()), SMOKE])
    shutil.copytree(study, folder / "study")
    beside = sorted(p for p in (folder / "study").glob("*/*.json") if p.is_file())
    for file in draw.sample(beside, min(draw.choice((0, 0, 1, 2)), len(beside))):
        file.write_bytes(damaged(file.read_bytes(), draw))
    journals = sorted((folder / "study").glob("*/journal.jsonl"))
    worse = draw.randint(1, len(journals)) if draw.random() < 0.5 else 0
    for journal in draw.sample(journals, worse):
        change = altered if draw.random() < 0.7 else damaged
        journal.write_bytes(change(journal.read_bytes(), draw))
    described = b'{"seeds": [1, 2, 3], "jobs": {"1": "4711"}}'
    study_file = damaged(described, draw) if draw.random() < 0.3 else described
    (folder / "study" / "study.json").write_bytes(study_file)
    (folder / "study" / "seed-x").mkdir()
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "evaluation.json").write_bytes(damaged(b'{"schema_version": 1}', draw))
    (folder / "target.toml").write_bytes(
        damaged((ROOT / "baselines/target.toml").read_bytes(), draw)
    )
    for name in ("weights.h5", "weights.keras", "picture.jpg", "bundle.tar", "table.parquet"):
        (folder / name).write_bytes(damaged(bytes(600), draw))
    (folder / "data" / "train" / "a").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "dangling").symlink_to(folder / "nowhere")
    (folder / "loop").symlink_to(folder / "loop")
    odd = folder / "odd?name%2F [x]\udcff"
    odd.mkdir()
    paths = [folder / "study", *journals, *(j.parent for j in journals), Path("/dev/null")]
    paths += [path for path in folder.iterdir() if path.name != "study"]
    return [*paths, folder / "missing", folder / "study" / "missing" / "deeper", Path("/proc/x")]


class Lines:
    """Draws command lines."""

    def __init__(self, draw: random.Random, paths: list[Path], out: Path) -> None:
        self._draw = draw
        self._odd = draw.random() < 0.7
        """Otherwise most words are what the command asks for."""
        self._paths = paths
        self._out = out

    def line(self) -> list[str]:
        """A command with arguments and options, some of them what it asks for."""
        draw = self._draw
        names = [name for name in cli.Commands.lazy if name not in LONG_COMMANDS]
        name = draw.choice(sorted(LONG_COMMANDS) if draw.random() < 0.15 else names)
        context = click.Context(cli.harness)
        command: Any = cli.harness.get_command(context, name)
        words = [name]
        if isinstance(command, click.Group):
            inner = draw.choice([*command.list_commands(context), "nonsense"])
            words.append(inner)
            command = command.get_command(context, inner)
        for parameter in command.params if command is not None else ():
            words += self._parameter(parameter)
        if self._odd and draw.random() < 0.15:
            draw.shuffle(words)
        if name in LONG_COMMANDS or (self._odd and draw.random() < 0.07):
            words.append(draw.choice(("--no-such-option", "--runs=", "--seed=x")))
        return words

    def _parameter(self, parameter: click.Parameter) -> list[str]:
        draw = self._draw
        if not parameter.required and draw.random() < 0.85:
            return []
        count = draw.choice((1, 1, 2)) if parameter.multiple or parameter.nargs != 1 else 1
        values = [self._value(parameter) for _ in range(count)]
        if isinstance(parameter, click.Argument):
            return values
        flag = draw.choice([*parameter.opts, *parameter.secondary_opts])
        if isinstance(parameter, click.Option) and parameter.is_flag:
            return [flag]
        return [word for value in values for word in (flag, value)]

    def _value(self, parameter: click.Parameter) -> str:
        draw, kind = self._draw, parameter.type
        if self._odd and draw.random() < 0.1:
            return draw.choice(WORDS)
        if isinstance(kind, LocalPath):
            names = {"out", "markdown", "page"}
            if parameter.name in names:
                return str(self._out / draw.choice(("made", "made.h5", "deep/er/made.html")))
            right = draw.random() < (0.3 if self._odd else 0.9)
            return str(self._paths[0] if right else draw.choice(self._paths))
        if isinstance(kind, click.Choice):
            return str(draw.choice(kind.choices))
        numbers = {click.types.IntParamType: INTEGERS, click.types.FloatParamType: REALS}
        fitting = next((pool for cls, pool in numbers.items() if isinstance(kind, cls)), None)
        return str(draw.choice(fitting or (*WORDS, *self._paths)))


@contextmanager
def environment(draw: random.Random) -> Iterator[dict[str, str]]:
    """Some variables set at random."""
    before = dict(os.environ)
    chosen = draw.sample(sorted(VARIABLES), draw.randint(0, 3))
    changes = {name: draw.choice(VARIABLES[name]) for name in chosen}
    os.environ.update(changes)
    try:
        yield changes
    finally:
        os.environ.clear()
        os.environ.update(before)


def call(words: list[str]) -> tuple[int, str]:
    """Exit code and output of the command line."""
    output = io.StringIO()
    before = sys.argv, sys.stdout, sys.stderr
    sys.argv, sys.stdout, sys.stderr = ["harness", *words], output, output
    try:
        return cli.answer(), output.getvalue()
    finally:
        sys.argv, sys.stdout, sys.stderr = before


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file by name."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def broken_promise(words: list[str], code: int, output: str, changed: list[str]) -> str:
    """Which promise the call broke; empty where none."""
    if code not in CODES:
        return f"exit code {code}"
    named = [word for word in words if word in ONE_MEANS]
    answer = output.upper().replace("_", " ")  # as a JSON document has the word
    if code == 1 and not any(ONE_MEANS[name] in answer for name in named):
        return "exit code 1 without its meaning"
    if "Traceback" in output or "a defect of the harness" in output:
        return "a traceback"
    half = [name for name in changed if name.endswith(".tmp") or "/.harness-" in name]
    if half:
        return f"left half-written: {half}"
    return ""


def main() -> None:
    """Call the command line at random and tell what it broke."""
    seed, count, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    codes: dict[int, int] = {}
    for number in range(count):
        draw = random.Random(f"{seed}-{number}")
        # A place of its own for each: libraries keep what they know of a path.
        place = folder / str(number)
        paths, out = make_files(place / "given", draw), place / "out"
        out.mkdir()
        os.chdir(out)
        before = digests(place)
        words = Lines(draw, paths, out).line()
        with environment(draw) as variables:
            code, output = call(words)
        after = digests(place)
        os.chdir(folder)
        shutil.rmtree(place)
        altered = [name for name in before if after.get(name) != before[name]]
        broken = broken_promise(words, code, output, [n for n in after if n not in before])
        if altered and not broken and words[0] != "certify":
            broken = f"given files were altered: {altered}"
        codes[code] = codes.get(code, 0) + 1
        if broken:
            found = {"number": number, "words": words, "variables": variables, "code": code}
            print(json.dumps({**found, "broken": broken, "output": output[-2000:]}), flush=True)
    print(json.dumps({"codes": codes}), flush=True)


if __name__ == "__main__":
    main()
