"""Measure the early-curve gate on small real runs, sound ones and ones with planted mistakes.

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
from harness.verdict.early import (
    LEVEL,
    MEASURES,
    WINDOWS,
    Curve,
    Finding,
    Reference,
    check,
    curve_of,
    expected_limits,
    window_ends,
    windows_of,
)
from harness.verdict.text import table

HERE = Path(__file__).parent
STEPS = 150
CLASSES = 10
SOUND = 8
REFERENCES = (5, 7)
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
    curve = curve_of(journal.steps)
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


def _page(curves: dict[str, dict[int, Curve]], total: int) -> Iterator[str]:
    seen = sum(end <= STEPS for end in window_ends(total))
    yield "# The early-curve gate, measured"
    yield ""
    yield "Made by `python reports/early_gate.py run DIR`; again from the recorded curves by"
    yield "`python reports/early_gate.py render`. Recipe `smoke` with batch 16 on the digits, the"
    yield f"first {STEPS} of {total} steps: {seen} of {WINDOWS} windows, three measures. The level"
    tests = WINDOWS * len(MEASURES)
    yield f"of {LEVEL:g} is that of a whole run, shared out over {tests} intervals"
    yield f"as in a run; the {seen} windows seen here have {100 * seen / WINDOWS:.0f} % of it."
    for references in REFERENCES:
        yield ""
        yield f"## {references} reference runs"
        yield ""
        yield from _measured(curves, references, total)
    yield ""
    yield from _not_found(curves, total)
    yield ""
    yield "## False alarms"
    yield ""
    yield from _false_alarms(list(curves["sound"].values()), total)
    yield ""
    yield "A shift by one class, made consistently, is another naming of the classes: the training"
    yield "curve cannot show it, and does not. The first evaluation does (top-1 near 0)."


def _measured(curves: dict[str, dict[int, Curve]], references: int, total: int) -> Iterator[str]:
    sound = curves["sound"]
    chosen = list(sound.values())[:references]
    reference = reference_at(chosen, total)
    rows = []
    others = {seed: c for seed, c in sound.items() if seed > references}
    for name, found in {"sound, not in the reference": others, **curves}.items():
        if name == "sound":
            continue
        for seed, curve in found.items():
            answer = check(curve, reference, classes=CLASSES, steps=total)
            rows.append(
                (name, str(seed), answer.status.replace("_", " "), *_first(answer.findings))
            )
    header = ("run", "seed", "answer", "known after step", "by")
    yield from ["```", *table(header, rows), "```"]


def _not_found(curves: dict[str, dict[int, Curve]], total: int) -> Iterator[str]:
    """The mistakes that the gate does not show, with the larger reference."""
    reference = reference_at(list(curves["sound"].values())[: max(REFERENCES)], total)
    missed = [
        name
        for name in MISTAKES
        if not any(
            check(curve, reference, classes=CLASSES, steps=total).findings
            for curve in curves[name].values()
        )
    ]
    yield f"Not found within {STEPS} steps with {max(REFERENCES)} references:"
    yield f"{', '.join(missed) or 'none'}."
    yield "As expected is no proof that a run is right."


def _first(findings: tuple[Finding, ...]) -> tuple[str, str]:
    if not findings:
        return "-", "-"
    first = findings[0]
    same = [f.check for f in findings if f.steps == first.steps]
    return str(first.steps[1] + 1), ", ".join(dict.fromkeys(same))


def reference_at(curves: list[Curve], total: int) -> Reference:
    """A reference of the windows that runs of `STEPS` steps have."""
    ends = tuple(end for end in window_ends(total) if end <= STEPS)
    images = np.diff([0, *ends]) * curves[0].images[0]
    return Reference(ends, np.stack([windows_of(c, ends) for c in curves]), images)


def _false_alarms(sound: list[Curve], total: int) -> Iterator[str]:
    """Leave-one-out over the real runs, and normal curves drawn with their mean and covariance."""
    alarms = sum(
        check(
            sound[i], reference_at(sound[:i] + sound[i + 1 :], total), classes=CLASSES, steps=total
        ).status
        == "unusual"
        for i in range(len(sound))
    )
    yield f"Each sound run against the {len(sound) - 1} others: {alarms} of {len(sound)} alarms."
    for references in REFERENCES:
        rate = simulated_rate(reference_at(sound, total), references)
        yield (
            f"Normal curves with the mean and covariance of the {len(sound)} sound runs, "
            f"{references} references, {DRAWS:,} draws: {100 * rate:.2f} % alarms."
        )


def simulated_rate(real: Reference, references: int) -> float:
    """Share of alarms among normal curves with the real runs' mean and covariance."""
    flat = real.values.reshape(len(real.values), -1)
    centered = (flat - flat.mean(axis=0)) / np.sqrt(len(flat) - 1)
    generator = np.random.default_rng(0)
    draws = generator.standard_normal((DRAWS, references + 1, len(flat))) @ centered
    draws = draws.reshape(DRAWS, references + 1, *real.values.shape[1:])
    runs = np.moveaxis(draws, 1, 0)
    low, high = expected_limits(runs[:-1], real.images)
    return float(((runs[-1] < low) | (runs[-1] > high)).any(axis=(1, 2)).mean())


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        train(Path(sys.argv[2]))
    recorded = json.loads((HERE / "early-gate.json").read_text())
    (HERE / "early-gate.md").write_text(render(recorded))
