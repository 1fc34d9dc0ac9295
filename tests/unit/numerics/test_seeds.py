"""Seeds by name: fixed for ever, different for every stream and index."""

import hashlib
import itertools

import numpy as np
import pytest

from harness.errors import UsageError
from harness.numerics.seeds import MAX_SEED, derive_seed


@pytest.mark.parametrize(
    ("seed", "stream", "index"), [(0, "init", ()), (1, "order", (3,)), (MAX_SEED, "a", (1, 2))]
)
def test_is_the_start_of_a_sha256(seed: int, stream: str, index: tuple[int, ...]) -> None:
    text = ":".join(["harness", str(seed), stream, *(str(i) for i in index)])
    words = np.frombuffer(hashlib.sha256(text.encode()).digest()[:8], "<i4")
    assert derive_seed(seed, stream, *index) == tuple(words.tolist())


def test_a_value_that_must_never_change() -> None:
    assert derive_seed(1, "order", 0) == (1295308634, -331851005)


def test_streams_indices_and_seeds_are_told_apart() -> None:
    keys = itertools.product(range(5), ("init", "order", "augmentation"), [(), (0,), (1,), (0, 1)])
    derived = [derive_seed(seed, stream, *index) for seed, stream, index in keys]
    assert len(set(derived)) == len(derived)


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(UsageError, match=f"seed {seed} is out of range"):
        derive_seed(seed, "init")
