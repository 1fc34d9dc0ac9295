"""What a plan says by simulation: registered looks, and published figures that were chosen."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.baselines.extension import Extension
from harness.baselines.schema import PublishedTarget
from harness.frozen import Frozen
from harness.statistics.power import Design, simulated_chances
from harness.statistics.rounding import points
from harness.verdict.text import table

OFFERED = Extension(seeds=(4, 5, 6, 7, 8, 9), looks=(3, 6, 9), alpha=0.03)
"""What a target may register before its first run; `baselines/target.toml` holds it as a comment.

By simulation at the margin, where `reproduced` is an error: 0.039 in all for a spread that is
known, 0.045 where the borrowed one was itself estimated with its 24 degrees of freedom. An
alpha of 0.035 gives 0.046 and 0.052."""

WIDER = 2
"""How many times the assumed spread our seeds may have in one row: looks err more often then."""


class PlannedVariant(Frozen):
    """The chances, by simulation, where the study or the published figure is another one."""

    what: str
    true_difference: float
    reproduced: float
    not_reproduced: float
    exceeds: float
    inconclusive: float


def variants(target: PublishedTarget, design: Design, evaluations: int) -> Iterator[PlannedVariant]:
    """An extension at three true differences and at a wider spread; figures that were chosen.

    The last only for one published run at its last epoch: a mean of chosen runs, or a
    chosen epoch of ours beside it, is another question.
    """
    rule = target.extension or OFFERED
    whose = "registered" if target.extension else "offered"
    looks = ", ".join(map(str, rule.looks))
    looked = replace(design, alpha=rule.alpha)
    wider = replace(looked, spread=WIDER * design.spread)
    plain = f"{whose} extension: looks at {looks} seeds, alpha {rule.alpha:g} each"
    spread = f"{whose} extension, our seeds' spread {100 * wider.spread:.3f} points instead"
    for what, one, size in (
        (plain, looked, 0.0),
        (plain, looked, -target.margin),
        (plain, looked, -target.margin - 0.0007),
        (spread, wider, -target.margin),
    ):
        found = simulated_chances(one, size, looks=rule.looks)
        yield PlannedVariant(what=what, true_difference=size, **vars(found))
    if target.n > 1 or target.selection != "last":
        return
    for times, what in (
        (3, "published: the best of 3 runs"),
        (10, "published: the best of 10 runs"),
        (evaluations, "published: the best of all {} epochs, taken as independent"),
    ):
        found = simulated_chances(design, 0.0, best_of=max(1, times))
        yield PlannedVariant(what=what.format(times), true_difference=0.0, **vars(found))


def variant_lines(variants: Sequence[PlannedVariant]) -> list[str]:
    """A table for a terminal."""
    header = (
        "by simulation", "true difference", "reproduced", "not reproduced", "exceeds",
        "inconclusive",
    )  # fmt: skip
    rows = [
        (
            v.what,
            f"{points(v.true_difference)} points" if v.true_difference else "0",
            *(
                f"{chance:.3f}"
                for chance in (v.reproduced, v.not_reproduced, v.exceeds, v.inconclusive)
            ),
        )
        for v in variants
    ]
    return table(header, rows)
