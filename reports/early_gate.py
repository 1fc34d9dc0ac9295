"""Measure the early checks on small real runs, sound ones and ones with planted mistakes.

`python reports/early_gate.py run DIR` trains them (about a quarter of an hour
on two free cores) and writes `early-gate.json`, the recorded curves;
`python reports/early_gate.py render` makes `early-gate.md` from it.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harness.record.journal import read_journal
from harness.record.predictions import read_predictions
from harness.verdict.early import (
    FIRST_LOSS_TOLERANCE,
    REACH,
    SPREAD,
    WINDOWS,
    Curve,
    EarlyFinding,
    check_pixels,
    check_predictions,
    check_steps,
    columns_of,
    curve_of,
    window_ends,
    windows_of,
)
from harness.verdict.text import table

HERE = Path(__file__).parent
STEPS = 150
CLASSES = 10
SOUND = 8
SEEDS_OF_MISTAKES = (101,)
SMALLER = ("batch=16", "evaluate_every_epochs=100")
NO_AUGMENTATION = (
    "augmentation.aspect=null",
    "augmentation.short_side=[34,35]",
    "augmentation.flip=false",
    "augmentation.hue_degrees=null",
    "augmentation.saturation=null",
    "augmentation.value=null",
    "augmentation.pca_std=null",
)
MISTAKES = {
    "no warm-up": ('phases.0.rate={"kind":"constant","rate":0.05}',),
    "wrong normalisation (divided by 1)": ("normalisation.std=[1.0,1.0,1.0]",),
    "labels shifted by one row": (),
    "labels shifted by one class": (),
    "weight decay ten times": ("loss.weight_decay=0.001",),
    "no augmentation": NO_AUGMENTATION,
}
DRAWS = 10_000
BORROWED = " (one earlier run, spread borrowed)"


def train(work: Path) -> None:
    """Train every run and write the curves."""
    digits = work / "digits"
    _python("-c", "import sys; from pathlib import Path; from harness.sources.digits import "
            "write_digits; write_digits(Path(sys.argv[1]))", str(digits))  # fmt: skip
    curves = {}
    jobs = [("sound", seed, (), digits) for seed in range(1, SOUND + 1)]
    for mistake, settings in MISTAKES.items():
        data = _shifted(digits, work, mistake) if mistake.startswith("labels") else digits
        jobs += [(mistake, seed, settings, data) for seed in SEEDS_OF_MISTAKES]
    total = 0
    for name, seed, settings, data in jobs:
        curve, total = _train_one(work, seed, settings, data)
        curves.setdefault(name, {})[str(seed)] = curve
        print(name, seed, flush=True)
    document = {"steps_total": total, "classes": CLASSES, "runs": curves}
    (HERE / "early-gate.json").write_text(json.dumps(document) + "\n")


def _train_one(
    work: Path, seed: int, settings: tuple[str, ...], data: Path
) -> tuple[dict[str, list[float]], int]:
    runs = work / "runs" / data.name
    words = [w for s in (*settings, *SMALLER) for w in ("--set", s)]
    out = _python("-m", "harness", "run", "smoke", "--data", str(data), "--runs", str(runs),
                  "--seed", str(seed), "--steps", str(STEPS), "--no-tracking", *words,
                  "--json")  # fmt: skip
    journal = read_journal(Path(json.loads(out)["seeds"][0]["run"]))
    curve = curve_of([columns_of(window) for window in journal.steps])
    rounded = {
        name: [float(f"{x:.6g}") for x in getattr(curve, name)]
        for name in ("loss", "gradient_norm", "correct", "images")
    }
    return rounded, journal.started.steps_total


def _shifted(digits: Path, work: Path, mistake: str) -> Path:
    """A copy of the digits whose training labels are off by one row of a list, or by one class."""
    folder = work / mistake.replace(" ", "-")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(digits / "val", folder / "val")
    files = sorted((digits / "train").glob("*/*.jpg"))
    files = [files[i] for i in np.random.default_rng(0).permutation(len(files))]
    labels = [int(file.parent.name) for file in files]
    wrong = [*labels[1:], labels[0]] if "row" in mistake else [(x + 1) % CLASSES for x in labels]
    for file, label in zip(files, wrong, strict=True):
        target = folder / "train" / str(label) / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return folder


def _python(*words: str) -> str:
    return subprocess.run(
        [sys.executable, *words], stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def render(document: dict[str, Any]) -> str:
    """The page from the recorded curves."""
    runs, total = document["runs"], document["steps_total"]
    curves = {
        name: {int(seed): _curve(c) for seed, c in found.items()} for name, found in runs.items()
    }
    return "\n".join(_page(curves, total)) + "\n"


def _curve(columns: dict[str, list[float]]) -> Curve:
    return Curve(**{name: np.asarray(values) for name, values in columns.items()})


def _found(curve: Curve, total: int, earlier: Curve | None = None) -> tuple[EarlyFinding, ...]:
    return check_steps(curve, classes=CLASSES, steps_total=total, earlier=earlier)


def _page(curves: dict[str, dict[int, Curve]], total: int) -> Iterator[str]:
    sound = curves["sound"]
    seen = sum(end <= STEPS for end in window_ends(total))
    yield "# The early checks, measured"
    yield ""
    yield "Made by `python reports/early_gate.py run DIR`; again from the recorded curves by"
    yield "`python reports/early_gate.py render`. Recipe `smoke` with batch 16 on the digits, the"
    yield f"first {STEPS} of {total} steps: {seen} of {WINDOWS} windows, three measures. A"
    yield f"window is named beyond {REACH:g} times sqrt(2) times the spread between seeds, which is"
    spread = ", ".join(f"{x:g}" for x in SPREAD)
    yield f"pooled over the windows of the {len(sound)} sound runs: {spread}."
    yield ""
    yield "## Planted mistakes, one earlier run"
    yield ""
    first, *others = sound.items()
    rows = [("sound, not the earlier one", seed, curve) for seed, curve in others]
    rows += [(name, seed, c) for name in MISTAKES for seed, c in curves[name].items()]
    cells = [(name, str(seed), *_cells(_found(c, total, first[1]))) for name, seed, c in rows]
    yield from ["```", *table(("run", "seed", "known after step", "by"), cells), "```", ""]
    yield from _beside_the_curve()
    yield ""
    missed = [n for n in MISTAKES if not _is_found(n, curves[n], total, first[1])]
    yield f"Not found by any check: {', '.join(missed) or 'none'}."
    yield "Without an earlier run the absolute checks alone look at the steps; they find none of"
    yield "these six by the curve. No finding is no proof that a run is right. No published curve"
    yield "of a registered recipe is known, so none is compared."
    yield ""
    yield "## False alarms"
    yield ""
    yield from _false_alarms(list(sound.values()), total)


def _cells(findings: tuple[EarlyFinding, ...]) -> tuple[str, str]:
    if not findings:
        return "-", "-"
    same = [f.check for f in findings if f.steps == findings[0].steps]
    return str(findings[0].steps[1] + 1), ", ".join(dict.fromkeys(same)).replace(BORROWED, "")


def _is_found(name: str, curves: dict[int, Curve], total: int, earlier: Curve) -> bool:
    beside = name in {"wrong normalisation (divided by 1)", "labels shifted by one class"}
    return beside or any(_found(curve, total, earlier) for curve in curves.values())


def _beside_the_curve() -> Iterator[str]:
    """Two mistakes that no curve shows: pixels of a batch, and labels at the first evaluation."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3)).astype(np.float32)
    (finding,) = check_pixels(pixels - np.float32(110.0))
    yield f"Divided by 1, known from the first batch: {finding.check} {finding.value:.3g}"
    yield "(random pixels of 0 to 255; a network with batch normalisation trains on, so its curve"
    yield "does not show it)."
    labels, predicted = next(real_predictions())
    (finding,) = check_predictions((labels + 1) % CLASSES, predicted, CLASSES, 405)
    yield "A shift by one class in training alone, known from the first evaluation (predictions"
    yield f"of a real run, labels shifted): {finding.check} {finding.value:.2g}."


def real_predictions() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Labels and most probable classes of the committed real runs."""
    for file in sorted(HERE.glob("*/runs/*/*/predictions-*.parquet")):
        found = read_predictions(file)
        top5 = found.column("top5_class").combine_chunks().flatten().to_numpy().reshape(-1, 5)
        yield found.column("label").to_numpy(), top5[:, 0]


def _false_alarms(sound: list[Curve], total: int) -> Iterator[str]:
    """Every ordered pair of the real runs, and pairs of normal curves with their covariance."""
    pairs = [(a, b) for a in sound for b in sound if a is not b]
    alarms = sum(bool(_found(a, total, b)) for a, b in pairs)
    yield f"Each sound run against each other one: {alarms} of {len(pairs)} pairs."
    real = list(real_predictions())
    alarms = sum(bool(check_predictions(*one, CLASSES, 1)) for one in real)
    yield f"Predictions of real runs (digits and groceries): {alarms} of {len(real)} evaluations."
    first = [abs(float(c.loss[0]) - np.log(CLASSES)) for c in sound]
    yield f"The first losses lie up to {max(first):.2f} nats from ln({CLASSES}),"
    yield f"{FIRST_LOSS_TOLERANCE:g} are allowed."
    yield (
        f"Pairs of normal curves with the mean and covariance of the {len(sound)} sound runs, "
        f"{DRAWS:,} draws: {100 * simulated_rate(sound, total):.2f} %."
    )


def simulated_rate(sound: list[Curve], total: int) -> float:
    """Share of alarms among pairs of normal curves with the real runs' mean and covariance."""
    ends = tuple(end for end in window_ends(total) if end <= STEPS)
    flat = np.stack([windows_of(c, ends) for c in sound]).reshape(len(sound), -1)
    centered = (flat - flat.mean(axis=0)) / np.sqrt(len(flat) - 1)
    draws = np.random.default_rng(0).standard_normal((2, DRAWS, len(flat))) @ centered
    reach = REACH * np.sqrt(2) * np.tile(SPREAD, len(ends))
    return float((np.abs(draws[0] - draws[1]) > reach).any(axis=1).mean())


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        train(Path(sys.argv[2]))
    recorded = json.loads((HERE / "early-gate.json").read_text())
    (HERE / "early-gate.md").write_text(render(recorded))
