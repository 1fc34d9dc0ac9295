"""The values of a judgement. Accuracies and differences are fractions; percent is for output."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, TypeAdapter

from harness.frozen import ADDED_LATER, Extended, Frozen
from harness.recipes.recipe import Selection

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
    "exceeds": 3,
    "no_target": 3,
    "not_reproduced": 1,
    "inconclusive": 3,
}
_WORST_FIRST: tuple[Word, ...] = (
    "not_reproduced",
    "inconclusive",
    "exceeds",
    "no_target",
    "reproduced",
)


class Bounds(Frozen):
    """An interval [low, high] with its confidence level."""

    low: float
    high: float
    confidence: float


class SeedResult(Extended):
    """One run as the judgement sees it.

    `top1_accuracy` is that of the evaluation that counts under the judged protocol;
    None where there is none. `lower_bound` is set by thresholds only. Where the best
    epoch counts, `epoch` is that one, `chosen_from` the number of evaluations and
    `last_top1_accuracy` what the last of them gave.
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
    epoch: float | None = Field(default=None, json_schema_extra=ADDED_LATER)
    chosen_from: int | None = Field(default=None, json_schema_extra=ADDED_LATER)
    last_top1_accuracy: float | None = Field(default=None, json_schema_extra=ADDED_LATER)


class Choosing(Frozen):
    """What choosing the epoch by the evaluated images did to the mean of the runs."""

    runs: int
    evaluations: int = Field(description="that each was chosen from; the fewest if they differ")
    mean: float
    last_mean: float
    raised: float = Field(description="mean minus last_mean")


class PublishedNumbers(Extended):
    """What is computed against a published accuracy; see `harness.verdict.published`.

    `stated_spread` says how a spread that the source states was read; None where the
    spread is borrowed.
    """

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
    stated_spread: str | None = Field(default=None, json_schema_extra=ADDED_LATER)


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


class BaselineDifference(Extended):
    """Ours minus a published accuracy of the same protocol; carries no verdict word.

    `selection` is the row's, under which ours was taken too; None where not stated.
    Rows of one `lineage` are measurements of the same weights.
    """

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
    selection: Selection | None = Field(default=None, json_schema_extra=ADDED_LATER)
    lineage: str | None = Field(default=None, json_schema_extra=ADDED_LATER)


class Judgement(Extended):
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
        baselines: Differences from other published accuracies; with several
            targets the first one's judgement has them.
        selection: Which epoch counts.
        choosing: What choosing did, where the best epoch counts.
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
    selection: Selection = Field(default="last", json_schema_extra=ADDED_LATER)
    choosing: Choosing | None = Field(default=None, json_schema_extra=ADDED_LATER)

    @property
    def exit_code(self) -> int:
        """0 reproduced and nothing else; 1 not reproduced; 3 every other word."""
        return EXIT_CODES[self.word]

    @property
    def judged_seeds(self) -> tuple[SeedResult, ...]:
        """Those that the target declares and that enter numbers; all where none is declared."""
        return tuple(seed for seed in self.seeds if seed.declared) or self.seeds


_MANY: TypeAdapter[tuple[Judgement, ...]] = TypeAdapter(tuple[Judgement, ...])


@dataclass(frozen=True)
class Judgements:
    """All answers about one study: one for each target that speaks about it.

    Where none does, the one answer is that there is no target. `notes` say what a reader
    should know about the records themselves; they are no part of the document, so that
    published judgements stay equal to what is computed again.
    """

    each: tuple[Judgement, ...]
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> Judgement:
        """Not reproduced before inconclusive before all others; of equals the first."""
        return min(self.each, key=lambda judgement: _WORST_FIRST.index(judgement.word))

    @property
    def exit_code(self) -> int:
        """That of the worst answer."""
        return self.worst.exit_code

    def against(self, target: str) -> Judgement:
        """The answer about the target of this name; the worst one where that was not judged."""
        return next((one for one in self.each if one.target == target), self.worst)

    def document(self) -> Any:
        """As JSON-like data: the one judgement, or a list of several."""
        documents = [one.model_dump(mode="json") for one in self.each]
        return documents[0] if len(documents) == 1 else documents

    def json(self) -> str:
        """`document` as indented text."""
        if len(self.each) == 1:
            return self.each[0].model_dump_json(indent=2)
        return _MANY.dump_json(self.each, indent=2).decode()
