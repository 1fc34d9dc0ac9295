"""The values of a judgement. Accuracies and differences are fractions; percent is for output."""

from typing import Literal

from harness.recipes.values import Frozen

Word = Literal["reproduced", "not_reproduced", "exceeds", "inconclusive", "no_target"]
WORDS: dict[Word, str] = {
    "reproduced": "reproduced",
    "not_reproduced": "not reproduced",
    "exceeds": "exceeds",
    "inconclusive": "inconclusive",
    "no_target": "no target for this data",
}
EXIT_CODES: dict[Word, int] = {
    "reproduced": 0,
    "exceeds": 0,
    "no_target": 0,
    "not_reproduced": 1,
    "inconclusive": 3,
}


class Bounds(Frozen):
    """An interval [low, high] with its confidence level."""

    low: float
    high: float
    confidence: float


class SeedResult(Frozen):
    """One run as the judgement sees it.

    `top1_accuracy` is that of the recipe's last step under the judged protocol;
    None where there is none. `lower_bound` is set by thresholds only.
    """

    seed: int
    run: str
    status: Literal["completed", "diverged", "stopped", "unfinished"]
    declared: bool
    protocol: str | None
    images: int | None
    top1_correct: int | None
    top1_accuracy: float | None
    top5_accuracy: float | None
    lower_bound: float | None = None


class PublishedNumbers(Frozen):
    """What is computed against a published accuracy; see `harness.verdict.published`."""

    kind: Literal["published"] = "published"
    runs: int
    mean: float
    spread: float
    published: float
    published_runs: int
    published_spread: float
    difference: float
    standard_error: float
    df: float
    margin: float
    alpha: float
    equivalence_interval: Bounds
    difference_interval: Bounds
    difference_excludes_zero: bool
    mean_interval: Bounds
    mean_excludes_published: bool


class ThresholdNumbers(Frozen):
    """What is computed against a threshold; see `harness.verdict.threshold`."""

    kind: Literal["threshold"] = "threshold"
    threshold: float
    confidence: float
    lowest: float
    lowest_bound: float


class Answer(Frozen):
    """What a target's own rule says, before it is put together with runs and sources."""

    word: Word
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    numbers: PublishedNumbers | ThresholdNumbers | None = None


class BaselineDifference(Frozen):
    """Ours minus a published accuracy of the same protocol; carries no verdict word."""

    name: str
    model: str
    protocol: str
    published: float
    published_runs: int | None
    difference: float
    interval: Bounds | None
    assumption: str
    source: str
    unstated: tuple[str, ...]


class Judgement(Frozen):
    """The answer to: was the target reproduced?

    Attributes:
        word: The answer.
        reasons: Why, most important first.
        warnings: What a reader should also know.
        target: Name of the target, None when there is none for this data.
        target_text: The target in words, with its source.
        recipe: Name of the runs' recipe.
        recipe_digest: Its digest.
        protocol: Name of the judged protocol.
        protocol_digest: Its digest.
        data: Name and root digest of the runs' data.
        seeds: One row for each run.
        left_out: Runs of the same study that were not named.
        numbers: What was computed, None where nothing could be.
        baselines: Differences from other published accuracies.
    """

    word: Word
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    target: str | None
    target_text: str | None
    recipe: str
    recipe_digest: str
    protocol: str | None
    protocol_digest: str | None
    data: str
    seeds: tuple[SeedResult, ...]
    left_out: tuple[str, ...] = ()
    numbers: PublishedNumbers | ThresholdNumbers | None = None
    baselines: tuple[BaselineDifference, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 reproduced, exceeds or no target; 1 not reproduced; 3 inconclusive."""
        return EXIT_CODES[self.word]
