"""What a Python program may use of this project; `docs/api.md` shows it. Nothing else is public.

The command line calls the same functions.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.recipes.catalogue import find_recipe
from harness.recipes.recipe import Recipe
from harness.recipes.settings import with_settings

if TYPE_CHECKING:
    import pandas as pd

    from harness.progress import Progress
    from harness.report.rendering.content import Report
    from harness.runner.run import RunReport
    from harness.verdict.judgement import Judgements

__all__ = ["judge", "load_recipe", "read_steps", "render", "run"]


def load_recipe(name: str, settings: Sequence[str] = ()) -> Recipe:
    """A recipe.

    Args:
        name: A name of `harness list recipes`, or a TOML file.
        settings: Such as `batch=64`, as for `harness run --set`.

    Raises:
        RecipeError: no such recipe, field or value.
    """
    return with_settings(find_recipe(name), tuple(settings))


def run(
    recipe: Recipe,
    data: Path | str,
    seeds: Sequence[int],
    *,
    runs: Path | str = Path("runs"),
    say: Callable[[str], None] = lambda _text: None,
    progress: "Progress | None" = None,
    **fields: Any,
) -> "RunReport":
    """Train and evaluate a recipe for each seed; go on with what was begun.

    Args:
        recipe: Of `load_recipe`.
        data: A folder made by `harness prepare`, or one with `train/<class>` and `val/<class>`.
        seeds: Each once.
        runs: Folder for runs and tracker.
        say: Called with messages for a person.
        progress: Where it is shown what takes time.
        fields: Others of `harness.runner.request.RunRequest`, such as `steps=500`,
            `tracking=False` or `settings`, what the recipe was loaded with.

    Raises:
        HarnessError: what ended it; see `harness run --help` for the kinds.
    """
    from harness.progress import SILENT
    from harness.runner.request import RunRequest
    from harness.runner.run import run as run_seeds

    fields.setdefault("settings", ())
    request = RunRequest(
        recipe=recipe, data=Path(data), seeds=tuple(seeds), runs=Path(runs), **fields
    )
    return run_seeds(request, say, progress or SILENT)


def read_steps(run: Path | str) -> "pd.DataFrame":
    """A run's journal as a table with one row a step.

    Args:
        run: A run's folder or journal.

    Returns:
        Index `step` from 0, with gaps where the journal is an excerpt; columns `epoch`,
        `step_time_s`, `data_wait_s`, `loss`, `learning_rate`, `gradient_norm`, `correct`,
        `images`, `images_per_s`, `train_accuracy` (a fraction) and `compiled` (the step's
        time holds compilation).

    Raises:
        RecordError: there is no journal, or it is damaged.
    """
    import pandas as pd

    from harness.record.journal import read_journal
    from harness.record.schema import STEP_COLUMNS

    journal = read_journal(Path(run))
    table = pd.DataFrame({name: journal.column(name) for name in STEP_COLUMNS})
    table = table.astype({"correct": "int64", "images": "int64"})
    table.index = pd.Index(journal.column("step").astype("int64"), name="step")
    table.insert(0, "epoch", table.index.to_numpy() / journal.started.steps_per_epoch)
    table["images_per_s"] = table["images"] / table["step_time_s"]
    table["train_accuracy"] = table["correct"] / table["images"]
    table["compiled"] = journal.column("compiled").astype(bool)
    return table


def judge(
    *runs: Path | str, target: str | Path | None = None, tracking_uri: str | None = None
) -> "Judgements":
    """The judgement of runs against each target that speaks about them.

    Args:
        runs: Run or study folders.
        target: One target, by name or as a TOML file; None takes all that fit.
        tracking_uri: A tracker to ask for other runs of the seeds.

    Raises:
        HarnessError: no runs, a damaged record, or a target about other runs.
    """
    from harness.analysis.verdict import verdict

    return verdict([Path(one) for one in runs], target=target, tracking_uri=tracking_uri)


def render(
    *runs: Path | str,
    out: Path | str,
    markdown: Path | str | None = None,
    target: str | Path | None = None,
    data: Path | str | None = None,
    contact_sheet: Path | str | None = None,
    tracking_uri: str | None = None,
) -> "Report":
    """Write one self-contained page about runs.

    Args:
        runs: Run or study folders.
        out: The page.
        markdown: The same without figures.
        target: As for `judge`.
        data: The runs' data folder, for pictures of mistakes.
        contact_sheet: A picture of augmented training images.
        tracking_uri: As for `judge`.

    Raises:
        HarnessError: no runs, a damaged record, or a file that cannot be written.
    """
    from harness.analysis.report import report, write_pages
    from harness.analysis.thumbnails import PictureSources

    pictures = (None if one is None else Path(one) for one in (data, contact_sheet))
    content = report(
        [Path(one) for one in runs],
        target=target,
        tracking_uri=tracking_uri,
        pictures=PictureSources(*pictures),
    )
    write_pages(content, Path(out), None if markdown is None else Path(markdown))
    return content
