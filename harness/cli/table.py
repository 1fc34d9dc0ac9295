"""Every command: where it is implemented, what it does in one line, and two examples.

`harness --help` is written from this table alone, so that it imports no command.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class CommandEntry:
    """One command.

    Attributes:
        target: `module:attribute` of the click command.
        summary: One line; it is never cut.
        examples: Words after `harness`.
    """

    target: str
    summary: str
    examples: tuple[str, str]


SECTIONS: dict[str, dict[str, CommandEntry]] = {
    "The whole job": {
        "smoke": CommandEntry(
            "harness.cli.train.smoke:command",
            "In minutes: train, repeat, evaluate, judge, report.",
            ("smoke", "smoke --seed 1 --seed 2 --runs /tmp/runs"),
        ),
        "reproduce": CommandEntry(
            "harness.cli.train.reproduce:command",
            "Reproduce a published result and judge it.",
            (
                "reproduce zhong2020-fashion-resnet20",
                "reproduce apm5-resnet50-ten-crop --data /data/imagenet --steps 500",
            ),
        ),
        "doctor": CommandEntry(
            "harness.cli.doctor:command",
            "What this machine is good for, and what is wrong with it.",
            ("doctor", "doctor --json"),
        ),
    },
    "Data, recipes, training": {
        "prepare": CommandEntry(
            "harness.cli.train.prepare:command",
            "Check every image of a data set and write its manifest.",
            (
                "prepare --source /usr/share/datasets/fashion-mnist --out data/fashion-mnist",
                "prepare --source ILSVRC2012 --out data/imagenet",
            ),
        ),
        "recipe": CommandEntry(
            "harness.cli.own.recipe:command",
            "Print a recipe as a file that can be changed and run.",
            (
                "recipe show he2015-resnet50 --name mine > mine.toml",
                "recipe show mine.toml",
            ),
        ),
        "target": CommandEntry(
            "harness.cli.own.target:command",
            "Write the file of a target of one's own.",
            (
                "target new --recipe mine.toml --name my-result > target.toml",
                "target new --recipe smoke --name my-bar --kind threshold --data DIR > bar.toml",
            ),
        ),
        "run": CommandEntry(
            "harness.cli.train.run:command",
            "Train and evaluate a recipe for each seed.",
            (
                "run smoke --data DIR --seed 1 --seed 2",
                "run mine.toml --data DIR --seed 1 --target target.toml --set batch=64",
            ),
        ),
        "study": CommandEntry(
            "harness.cli.train.study:command",
            "Train one job for each seed, here or under Slurm, and judge all.",
            (
                "study smoke --seeds 0-4 --data DIR",
                "study apm5-resnet50 --seeds 1-3 --data DIR --executor slurm --gpus 1",
            ),
        ),
        "status": CommandEntry(
            "harness.cli.train.status:command",
            "State, progress, rate and time left of each seed of a study.",
            ("status runs/smoke-95a37860", "status runs/smoke-95a37860 --json"),
        ),
        "plan": CommandEntry(
            "harness.cli.judge.plan:command",
            "What a study could answer, and its hours, before it is run.",
            (
                "plan apm5-resnet50 --seeds 3",
                "plan mine.toml --seeds 5 --target target.toml --images-per-s 800",
            ),
        ),
    },
    "Answers": {
        "verdict": CommandEntry(
            "harness.cli.judge.verdict:command",
            "Did these runs reproduce each target that applies to them?",
            ("verdict runs/smoke-95a37860", "verdict runs/mine-* --target target.toml --json"),
        ),
        "report": CommandEntry(
            "harness.cli.judge.report:command",
            "Write one self-contained page about runs.",
            (
                "report runs/smoke-95a37860 --out page.html",
                "report runs/mine-* --out page.html --markdown page.md --data DIR",
            ),
        ),
        "compare": CommandEntry(
            "harness.cli.judge.compare:command",
            "Compare two trained networks image by image.",
            (
                "compare runs/smoke-95a37860/seed-1 runs/smoke-95a37860/seed-2",
                "compare runs/mine-1a2b3c4d/seed-1 runs/smoke-95a37860/seed-1 --out page.html",
            ),
        ),
        "ui": CommandEntry(
            "harness.cli.ui:command",
            "Open MLflow's interface over the runs.",
            ("ui", "ui --runs runs"),
        ),
        "list": CommandEntry(
            "harness.cli.listing:command",
            "Recipes, models, targets, baselines, protocols or runs.",
            ("list recipes", "list baselines --protocol ten_crop"),
        ),
    },
    "Proof": {
        "certify": CommandEntry(
            "harness.cli.replay.certify:command",
            "Replay steps of a run and compare every bit with its journal.",
            (
                "certify runs/smoke-95a37860/seed-1",
                "certify runs/smoke-95a37860/seed-1 --whole",
            ),
        ),
        "diff": CommandEntry(
            "harness.cli.replay.diff:command",
            "Find the first step at which two runs part, and why.",
            (
                "diff here/smoke-95a37860/seed-1 there/smoke-95a37860/seed-1",
                "diff here/smoke-95a37860/seed-1 there/smoke-95a37860/seed-1 --no-replay",
            ),
        ),
        "bundle": CommandEntry(
            "harness.cli.judge.bundle:command",
            "Pack runs into one file that can be verified anywhere.",
            (
                "bundle runs/smoke-95a37860 --out smoke.tar",
                "bundle runs/smoke-95a37860 --out smoke.tar --weights",
            ),
        ),
        "excerpt": CommandEntry(
            "harness.cli.judge.excerpt:command",
            "Make small copies of finished runs, to publish.",
            (
                "excerpt runs/apm5-resnet50-79b8aec7 --out published/runs",
                "excerpt runs/smoke-95a37860/seed-1 --out published/runs --steps 10",
            ),
        ),
        "verify": CommandEntry(
            "harness.cli.judge.verify:command",
            "Check every byte of a bundle and compute every number again.",
            ("verify smoke.tar", "verify smoke.tar --json"),
        ),
        "sync": CommandEntry(
            "harness.cli.judge.sync:command",
            "Send journals to MLflow that it has missed.",
            (
                "sync runs/smoke-95a37860",
                "sync runs/smoke-95a37860 --tracking-uri http://tracker:5000",
            ),
        ),
    },
    "Trained weights": {
        "evaluate": CommandEntry(
            "harness.cli.weights.evaluate:command",
            "Evaluate weights of any supported format on a data set.",
            (
                "evaluate --weights imagenet --model keras-resnet50 --data /data/imagenet",
                "evaluate --weights runs/smoke-95a37860/seed-1 --data DIR",
            ),
        ),
        "classify": CommandEntry(
            "harness.cli.weights.classify:command",
            "The five most probable classes of single pictures.",
            (
                "classify cat.jpg --weights runs/mine-1a2b3c4d/seed-1",
                "classify *.jpg --weights mine.weights.h5 --json",
            ),
        ),
        "export": CommandEntry(
            "harness.cli.weights.export:command",
            "Write weights as a file that other programs read.",
            (
                "export --weights runs/mine-1a2b3c4d/seed-1 --out mine.weights.h5",
                "export --weights runs/mine-1a2b3c4d/seed-1 --out mine.h5",
            ),
        ),
    },
    "Speed": {
        "bench": CommandEntry(
            "harness.cli.speed.bench:command",
            "Measure throughput beside its ceiling.",
            (
                "bench step --against reference --json",
                "bench loop --recipe smoke --data DIR",
            ),
        ),
        "gate": CommandEntry(
            "harness.cli.speed.gate:command",
            "Was speed lost between two revisions?",
            ("gate main HEAD", "gate main HEAD --release pinned"),
        ),
    },
}
ENTRIES: dict[str, CommandEntry] = {
    name: entry for section in SECTIONS.values() for name, entry in section.items()
}
