"""Targets of one's own: the file to fill in, what is refused, and judged from the run's folder."""

import tomllib
from pathlib import Path

import pytest

from harness.analysis.bundle import bundle
from harness.analysis.verdict import verdict
from harness.analysis.verify import verify
from harness.baselines import load_target
from harness.baselines.loading import baselines_folder
from harness.baselines.own import own_targets, read_own_target
from harness.baselines.template import target_text
from harness.errors import BaselineError, UsageError
from harness.recipes.catalogue import RECIPES
from harness.recipes.own import begun_from
from harness.recipes.recipe import Recipe
from harness.record.schema import DataIdentity
from harness.study.reproduce import own_target
from tests.filled_targets import filled
from tests.planted_journals import DIGITS, Planted, study

MINE = begun_from(RECIPES["smoke"], "mine")
RECIPE_KINDS = (
    MINE,
    RECIPES["he2015-resnet50"],  # whole images at five scales: no crop size
    RECIPES["zhong2020-fashion-resnet20"],  # the best epoch, one channel
)


def target_file(
    folder: Path, kind: str = "published", *, data: DataIdentity | None = DIGITS, **of: str
) -> Path:
    path = folder / "my-target.toml"
    path.write_text(filled(target_text(MINE, of.get("name", "my-result"), kind, None, data)))
    return path


@pytest.mark.parametrize("kind", ["published", "threshold"])
@pytest.mark.parametrize("data", [DIGITS, None])
@pytest.mark.parametrize("recipe", RECIPE_KINDS, ids=lambda recipe: recipe.name)
def test_a_new_target_names_what_is_empty_and_is_right_when_filled(
    tmp_path: Path, kind: str, data: DataIdentity | None, recipe: Recipe
) -> None:
    text = target_text(recipe, "my-result", kind, None, data)
    path = tmp_path / "t.toml"
    path.write_text(text)
    with pytest.raises(BaselineError) as caught:
        load_target(path)
    document = tomllib.loads(text)
    empty = [key for key, value in document.items() if value == ""]
    assert empty
    for field in [*empty, "source.title", "source.quoted"]:
        assert field in str(caught.value)
    path.write_text(filled(text))
    target = load_target(path)
    assert (target.kind, target.recipe, target.recipe_digest) == (kind, recipe.name, recipe.digest)
    assert target.protocol in recipe.protocols().values()


def test_a_protocol_that_the_recipe_has_not_is_refused() -> None:
    with pytest.raises(UsageError, match="no protocol 'five_crop'"):
        target_text(MINE, "my-result", "published", "five_crop", None)


def test_a_target_of_another_recipe_or_an_older_one_is_refused(tmp_path: Path) -> None:
    path = target_file(tmp_path)
    assert read_own_target(path, "mine", MINE.digest).text == path.read_text()
    with pytest.raises(BaselineError, match="about the recipe mine, not about other"):
        read_own_target(path, "other", MINE.digest)
    with pytest.raises(BaselineError, match="the recipe was changed since"):
        read_own_target(path, "mine", "0" * 64)


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("margin = 0.02", "margn = 0.02", ["no field 'margn'", "did you mean margin?"]),
        ("top1 = 0.98", "top1 = 98", ["field top1", "a number from 0, up to 1", "98"]),
        ("n = 5", "n = 2.5", ["field n", "an integer from 1"]),
        ('divisor = "unstated"', 'divisor = "m"', ["spread.divisor", "one of n, n-1, unstated"]),
        ("published = 0.004", "deviation = 0.004", ["no field 'spread.deviation'"]),
        ("[spread]", "[spraed]", ["no field 'spraed'", "did you mean spread?"]),
        ('quoted = "', 'qoted = "', ["did you mean source.quoted?"]),
        ("[1, 2, 3]", "[1, 1, 3]", ["declared_seeds are different integers from 0"]),
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_target_is_named_with_what_it_takes(
    tmp_path: Path, right: str, wrong: str, words: list[str]
) -> None:
    path = target_file(tmp_path)
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong, 1))
    with pytest.raises(BaselineError) as caught:
        load_target(path)
    for word in [*words, str(path)]:
        assert word in str(caught.value)


def test_a_registered_targets_own_file_is_that_target_and_a_changed_one_is_refused(
    tmp_path: Path,
) -> None:
    path = baselines_folder() / "smoke.toml"
    assert own_target(str(path), RECIPES["smoke"]) is None
    changed = tmp_path / "changed.toml"
    changed.write_text(path.read_text().replace("threshold = 0.97", "threshold = 0.5"))
    with pytest.raises(BaselineError, match="a registered target is named smoke-digits-ten-crop"):
        own_target(str(changed), RECIPES["smoke"])


def test_a_registered_name_is_refused(tmp_path: Path) -> None:
    path = target_file(tmp_path, name="smoke-digits-ten-crop")
    with pytest.raises(BaselineError, match="registered target is named smoke-digits-ten-crop"):
        read_own_target(path, "mine", MINE.digest)


@pytest.mark.parametrize(("kind", "right", "word"), [
    ("published", (347, 348, 349), "reproduced"),
    ("published", (300, 301, 302), "not_reproduced"),
    ("threshold", (347, 348, 349), "reproduced"),
])  # fmt: skip
def test_runs_are_judged_and_bundled_with_the_target_in_their_folders(
    tmp_path: Path, kind: str, right: tuple[int, ...], word: str
) -> None:
    runs = [
        Planted(seed, recipe=MINE, data=DIGITS, correct={"ten_crop": n, "center_crop": n})
        for seed, n in enumerate(right, start=1)
    ]
    folder = study(tmp_path / "mine-00000000", runs)
    assert verdict([folder]).each[0].word == "no_target"
    own = read_own_target(target_file(tmp_path, kind), "mine", MINE.digest)
    for seed in range(1, 4):
        (folder / f"seed-{seed}" / own.file_name).write_text(own.text)
    assert own_targets(sorted(folder.iterdir())) == (own.target,)
    (judged,) = verdict([folder]).each
    assert (judged.target, judged.word) == ("my-result", word)

    out = tmp_path / "b.tar"
    bundle((folder,), out)
    assert verify(out).runs == 3
