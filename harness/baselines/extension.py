"""More seeds than the declared ones, registered with a target before its first run."""

from typing import Any

from pydantic import Field

from harness.frozen import Frozen


class Extension(Frozen):
    """Further seeds and looks, registered before the first run.

    The first look is at the declared seeds. Where a look is inconclusive, the next takes more of
    `seeds`; each of its one-sided tests has the size `alpha`, the first look's as well.
    """

    seeds: tuple[int, ...] = Field(min_length=1)
    looks: tuple[int, ...] = Field(min_length=2, description="seeds at each look, ascending")
    alpha: float = Field(gt=0, lt=0.5, description="of each look")

    def check(self, declared: tuple[int, ...]) -> None:
        """Raise `ValueError` unless the looks rise from the declared seeds to all of them."""
        ends = (len(declared), len(declared) + len(self.seeds))
        rising = sorted(set(self.looks)) == list(self.looks)
        if (self.looks[0], self.looks[-1]) != ends or not rising:
            raise ValueError(f"extension.looks must rise from {ends[0]} to {ends[1]} seeds")

    def updates(self, declared: tuple[int, ...]) -> tuple[dict[str, Any], ...]:
        """What each look changes of its target."""
        everyone = (*declared, *self.seeds)
        of_look = {"alpha": self.alpha, "extension": None}
        return tuple({**of_look, "declared_seeds": everyone[:seeds]} for seeds in self.looks)
