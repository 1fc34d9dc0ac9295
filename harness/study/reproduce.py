"""`harness reproduce`: a registered target, from its data and the preflight to the verdict."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.publish import Judged, judge_study
from harness.baselines.loading import load_baselines, load_target
from harness.baselines.own import OwnTarget, read_own_target
from harness.baselines.schema import Target
from harness.progress import SILENT, Progress
from harness.recipes.catalogue import RECIPES
from harness.recipes.files import is_file_name
from harness.recipes.recipe import Recipe
from harness.runner.request import RunRequest
from harness.runner.run import RunReport, run
from harness.verdict.judgement import Judgement

DEFAULT_TARGET = "apm5-resnet50-ten-crop"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Reproduction:
    """What a reproduction came to.

    Attributes:
        report: Every seed.
        judged: The answers; None where `--steps` ended the runs before there could be any.
        target: Whose answer decides.
    """

    report: RunReport
    judged: Judged | None
    target: Target

    @property
    def exit_code(self) -> int:
        """That of the named target's answer; 0 where the runs were stopped as asked."""
        return self._answer.exit_code if self._answer else 0

    @property
    def _answer(self) -> Judgement | None:
        return self.judged.judgements.against(self.target.name) if self.judged else None

    def text(self, runs: Path) -> str:
        """For a person."""
        if self.judged is None:
            return (
                f"{self.report.text()}\n\n"
                "stopped at --steps, so nothing is judged; the same command without it continues"
            )
        return self.judged.text(runs)


def recipe_of(target: Target, named: str) -> str:
    """The recipe that a target names: registered, or the file of that name beside its own."""
    beside = Path(named).parent / f"{target.recipe}.toml"
    own = is_file_name(named) and target.recipe not in RECIPES and beside.is_file()
    return str(beside.resolve()) if own else target.recipe


def own_target(named: str, recipe: Recipe) -> OwnTarget | None:
    """A target of one's own, to be kept with the runs; None for a registered one.

    Raises:
        BaselineError: it is about another recipe, or has a registered target's name and not
            its demands.
    """
    registered = {target.name: target.digest for target in load_baselines().targets}
    target = load_target(named)
    if not is_file_name(named) or registered.get(target.name) == target.digest:
        return None
    return read_own_target(Path(named), recipe.name, recipe.digest)


def reproduce(
    request: RunRequest, target: Target, named: str, say: Say, progress: Progress = SILENT
) -> Reproduction:
    """Train every seed and judge the study against every target that applies to it.

    Args:
        request: What to run.
        target: Whose answer decides the exit code.
        named: How `load_target` finds it; where it is not registered it alone is judged.
        say: Messages for a person.
        progress: Where it is shown what takes time.

    Raises:
        HarnessError: as `run` and `judge_study` do.
    """
    report = run(request, say, progress)
    if any(seed.status == "stopped at --steps" for seed in report.seeds):
        return Reproduction(report, None, target)
    judged = judge_study(
        report.study,
        request.runs,
        request.data,
        request.tracking_uri,
        say,
        tracking=request.tracking,
        target=None if target.name in load_baselines().target_files else named,
    )
    return Reproduction(report, judged, target)
