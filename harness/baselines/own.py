"""Targets of one's own: named when a run begins, kept in its folder, judged from there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.baselines.loading import load_baselines, load_target
from harness.baselines.schema import Target
from harness.errors import BaselineError

PATTERN = "target-*.toml"


@dataclass(frozen=True)
class OwnTarget:
    """A target and the text of its file."""

    target: Target
    text: str

    @property
    def file_name(self) -> str:
        """In a run's folder."""
        return f"target-{self.target.digest[:8]}.toml"


def read_own_target(path: Path, recipe: str, recipe_digest: str) -> OwnTarget:
    """Read the target that a run is to be held against.

    Args:
        path: Its file.
        recipe: Name of the run's recipe.
        recipe_digest: Its digest.

    Raises:
        BaselineError: it cannot be read, is wrong, is about another recipe, or has the name
            of a registered target.
    """
    target = load_target(path)
    refuse_other_recipe(target, recipe, recipe_digest, str(path))
    if target.name in load_baselines().target_files:
        raise BaselineError(
            f"a registered target is named {target.name} already",
            where=f"{path}, field name",
            expected="a name of its own; registered targets are judged anyway",
            remedy="choose another name, or name the registered target itself",
        )
    return OwnTarget(target, path.read_text(encoding="utf-8"))


def refuse_other_recipe(target: Target, recipe: str, recipe_digest: str, where: str) -> None:
    """Refuse a target that cannot judge a recipe.

    Raises:
        BaselineError: it is about another recipe, or about another state of this one.
    """
    if target.recipe != recipe:
        raise BaselineError(
            f"the target is about the recipe {target.recipe}, not about {recipe}",
            where=f"{where}, field recipe",
            expected=f'recipe = "{recipe}"',
            remedy="correct the file, or name a target of this recipe: `harness list targets`",
        )
    if target.recipe_digest not in (None, recipe_digest):
        raise BaselineError(
            f"the target asks for the recipe {str(target.recipe_digest)[:8]}, {recipe} is "
            f"{recipe_digest[:8]}: the recipe was changed since",
            where=f"{where}, field recipe_digest",
            expected=f'recipe_digest = "{recipe_digest}"',
            remedy="correct it before the first run, or leave the field out",
        )


def own_targets(folders: Sequence[Path]) -> tuple[Target, ...]:
    """The targets that lie in the folders of runs, each once.

    Raises:
        BaselineError: one of them is wrong.
    """
    files = [file for folder in folders for file in sorted(folder.glob(PATTERN))]
    return tuple({target.digest: target for target in map(load_target, files)}.values())
