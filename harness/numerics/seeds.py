"""Seeds of every random stream, derived by name from the one seed of a run."""

import hashlib

from harness.errors import UsageError

MAX_SEED = 2**31 - 1


def derive_seed(seed: int, stream: str, *index: int) -> tuple[int, int]:
    """Two int32 for TensorFlow's stateless operations.

    The same (seed, stream, index) gives the same pair on every machine and
    version; different ones are independent for all practical purposes
    (SHA-256).

    Args:
        seed: The run's seed in [0, 2**31 - 1].
        stream: What is drawn: "init", "order", "augmentation".
        index: Numbers within the stream, such as the pass.

    Raises:
        UsageError: the seed is out of range.
    """
    check_seed(seed)
    text = ":".join(["harness", str(seed), stream, *map(str, index)])
    raw = hashlib.sha256(text.encode()).digest()
    return (
        int.from_bytes(raw[:4], "little", signed=True),
        int.from_bytes(raw[4:8], "little", signed=True),
    )


def check_seed(seed: int) -> None:
    """Raise `UsageError` unless 0 <= seed <= 2**31 - 1."""
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(
            f"the seed {seed} is out of range",
            expected=f"an integer from 0 to {MAX_SEED}",
            remedy="choose another seed",
        )
