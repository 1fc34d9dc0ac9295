"""The file of a target of one's own, to be filled in by hand."""

from harness.errors import UsageError
from harness.recipes.protocol import Protocol
from harness.recipes.recipe import Recipe
from harness.recipes.toml_text import plain_toml
from harness.record.schema import DataIdentity

HEAD = """\
# What runs of {recipe} are held against. Fill in every "" below before the first run:
# a run of `harness run RECIPE --target THIS_FILE` records it, and a later change shows.
# Accuracies, deviations and margins are fractions: 0.7772 is 77.72 %.
kind = {kind}
name = {name}
recipe = {recipe_name}
recipe_digest = {digest}  # of the recipe as it is now: a changed one is another question
selection = {selection}  # last: the last step counts; best_epoch: the best evaluated epoch
"""

PUBLISHED = """\
top1 = ""             # the published top-1 accuracy, a fraction: the mean of n runs
n = ""                # how many runs it is the mean of
alpha = 0.05          # size of each of the two one-sided tests
margin = ""           # what difference is still "reproduced", such as 0.005
min_seeds = 3         # fewer give no answer; `harness plan RECIPE --seeds N --target THIS_FILE`
declared_seeds = [1, 2, 3]  # every one of them is run and counts
"""

PUBLISHED_REASONS = """\
[reasons]
alpha = "the usual size of a test; each of the two one-sided tests has it, so [L, U] is a 90 % interval"
margin = ""           # why this margin
min_seeds = "two runs leave one degree of freedom"
declared_seeds = "declared before the first run; the numbers mean nothing else"

# How far single runs of the source lie apart. Where the source does not say, borrow one:
# in the place of `published` and `divisor` write standard_deviation = ... and df = ...
[spread]
published = ""        # the standard deviation of the n runs, a fraction
divisor = "unstated"  # what it divides by: "n", "n-1" or "unstated" (the wider reading)
origin = ""           # where it stands
assumption = "where the divisor is not stated, the wider reading is taken"
"""  # noqa: E501 - the lines of the file

THRESHOLD = """\
threshold = ""        # the top-1 accuracy that every declared seed must reach, a fraction
confidence = 0.95     # of the printed binomial bound, which decides nothing
declared_seeds = [1, 2]  # every one of them is run and counts
"""

THRESHOLD_REASONS = """\
[reasons]
threshold = ""        # why this one
declared_seeds = "declared before the first run; the numbers mean nothing else"
confidence = "the usual one; the bound decides nothing"
"""

SOURCE = """\
[source]
title = ""            # who says so
address = ""          # URL, arXiv number, or repository with path
table = ""            # table, section or line; or commit = "..."
quoted = ""           # the row as the source prints it
"""


def target_text(
    recipe: Recipe, name: str, kind: str, protocol: str | None, data: DataIdentity | None
) -> str:
    """A target as TOML with a comment at each field; what only its author knows is empty.

    Args:
        recipe: Whose runs are judged.
        name: Of the target.
        kind: "published" or "threshold".
        protocol: Name of one of the recipe's protocols; None takes its last.
        data: What it is bound to; None leaves it to the author.

    Raises:
        UsageError: the recipe has no such protocol.
    """
    published = kind == "published"
    parts = (
        HEAD.format(
            recipe=recipe.name,
            kind=plain_toml(kind),
            name=plain_toml(name),
            recipe_name=plain_toml(recipe.name),
            digest=plain_toml(recipe.digest),
            selection=plain_toml(recipe.selection),
        )
        + (PUBLISHED if published else THRESHOLD),
        _data(data),
        PUBLISHED_REASONS if published else THRESHOLD_REASONS,
        SOURCE,
        _protocol(_chosen(recipe, protocol)),
    )
    return "\n".join(parts)


def _chosen(recipe: Recipe, name: str | None) -> Protocol:
    if name is None:
        return recipe.epoch_protocol if recipe.selection != "last" else recipe.final_protocols[-1]
    known = recipe.protocols()
    if name not in known:
        raise UsageError(
            f"the recipe {recipe.name} has no protocol {name!r}",
            where="--protocol",
            expected=f"one of {', '.join(known)}",
            remedy="name one of these, or leave it out",
        )
    return known[name]


def _data(data: DataIdentity | None) -> str:
    if data is None:
        return (
            "# The data that it speaks about. --data DIR fills this in.\n[data]\n"
            'kind = ""             # as a run\'s journal has it, such as imagenet; your own: other\n'  # noqa: E501
        )
    return (
        "# The data that it speaks about, to the byte.\n[data]\n"
        f"kind = {plain_toml(data.kind)}\n"
        f"root_digest = {plain_toml(data.root_digest)}\n"
        f"train_images = {data.train_images}\n"
        f"val_images = {data.val_images}\n"
    )


def _protocol(protocol: Protocol) -> str:
    fields = protocol.model_dump(mode="json")
    normalisation = fields.pop("normalisation")
    lines = ["# How it is evaluated: that of the recipe.", "[protocol]"]
    lines += [f"{k} = {plain_toml(v)}" for k, v in fields.items()]
    lines += ["", "[protocol.normalisation]"]
    return "\n".join([*lines, *(f"{k} = {plain_toml(v)}" for k, v in normalisation.items())]) + "\n"
