"""Order and draws are pure functions of the position, pinned by golden values."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.input_pipeline.order import (
    FORMER_ROUNDS,
    ROUNDS,
    Positions,
    image_index,
    order_seeds,
    rounds_of,
)
from harness.data.transforms.draws import augmentation_key, colour_draws, geometry_draws, uniforms
from harness.errors import UsageError
from harness.recipes.published.apm5 import AUGMENTATION

IMAGENET = 1_281_167
GOLDEN_FIRST = [1028619, 940346, 897578, 1269797, 483141, 1040080]
GOLDEN_LAST = [595718, 838584, 28134]
FORMER_FIRST = [356208, 289537, 639911, 470390, 986251, 794386]
FORMER_LAST = [50694, 729690, 499519]
GOLDEN_UNIFORMS = [
    0.6646630905215776,
    0.4299130577000516,
    0.36754405850046923,
    0.4342671852973883,
    0.26135934363486535,
    0.6045705370009511,
    0.5823549192969817,
    0.5408343529650179,
    0.9753076449457374,
    0.9842572269407608,
    0.5329662409454752,
]


def order(
    seed: int, pass_number: int, images: int, places: range, rounds: int = ROUNDS
) -> list[int]:
    key = tf.constant(order_seeds(seed, (pass_number, pass_number), rounds)[0])
    permute = tf.function(lambda place: image_index(place, key, images, rounds))
    return [int(permute(tf.constant(place, tf.int64))) for place in places]


def whole_pass(seed: int, pass_number: int, images: int, rounds: int = ROUNDS) -> np.ndarray:
    keys = np.repeat(order_seeds(seed, (pass_number, pass_number), rounds), images, axis=0)
    found = image_index(tf.range(images, dtype=tf.int64), tf.constant(keys), images, rounds)
    return np.asarray(found)


@pytest.mark.parametrize("images", [1, 2, 3, 7, 16, 97])
@pytest.mark.parametrize("pass_number", [0, 1])
def test_a_pass_shows_each_image_once(images: int, pass_number: int) -> None:
    assert sorted(order(3, pass_number, images, range(images))) == list(range(images))


def test_passes_and_seeds_have_different_orders() -> None:
    orders = [order(seed, number, 50, range(50)) for seed in (0, 1) for number in (0, 1)]
    assert len({tuple(o) for o in orders}) == 4


@pytest.mark.parametrize("images", [65_535, 65_536, 65_537, 131_073, 262_145])
def test_a_large_pass_shows_each_image_once(images: int) -> None:
    """TensorFlow's permutation of 4^k + 1 numbers shows the first twice and the last never."""
    found = whole_pass(3, 1, images)
    assert len(np.unique(found)) == images
    assert (found.min(), found.max()) == (0, images - 1)


def test_a_place_has_the_same_image_alone_and_in_a_batch() -> None:
    together = whole_pass(3, 1, 65_537)
    alone = order(3, 1, 65_537, range(0, 65_537, 5_000))
    assert together[::5_000].tolist() == alone


def class_count_variance(images: int, batch: int, rounds: int, passes: int = 20) -> float:
    """Variance of a class's count in a batch, over that under a uniform order.

    Ten classes of one size, one behind the other, as prepared data lies: the count is
    hypergeometric under a uniform order.
    """
    classes = np.arange(images) // (images // 10)
    counts = []
    for number in range(passes):
        found = classes[whole_pass(1, number, images, rounds)]
        batches = found[: images // batch * batch].reshape(-1, batch)
        counts += [(batches == one).sum(axis=1) for one in range(10)]
    uniform = batch * 0.09 * (images - batch) / (images - 1)
    return float(np.concatenate(counts).var()) / uniform


@pytest.mark.parametrize("images", [1_440, 50_000, 60_000])
def test_batches_are_no_more_alike_than_by_a_uniform_order(images: int) -> None:
    assert class_count_variance(images, 128, ROUNDS) == pytest.approx(1, abs=0.05)


def test_batches_of_versions_before_were() -> None:
    assert class_count_variance(60_000, 128, FORMER_ROUNDS) == pytest.approx(0.72, abs=0.05)


def test_neighbours_and_passes_have_nothing_to_do_with_one_another() -> None:
    """Correlations over a whole pass have a deviation of 0.004 by chance, 20 of them 0.001."""
    places = [np.argsort(whole_pass(1, number, 60_000)) for number in range(20)]
    neighbours = [np.corrcoef(one[:-1], one[1:])[0, 1] for one in places]
    passes = [np.corrcoef(a, b)[0, 1] for a, b in itertools.pairwise(places)]
    assert abs(np.mean(neighbours)) < 0.005
    assert abs(np.mean(passes)) < 0.005


def test_the_order_of_versions_before_is_that_of_tensorflow_s_function() -> None:
    former = order(7, 2, 97, range(97), FORMER_ROUNDS)
    key = tf.constant(order_seeds(7, (2, 2), FORMER_ROUNDS)[0, 1:])
    shuffled = [
        int(tf.random.experimental.index_shuffle(place, key, 96)) for place in np.arange(97)
    ]
    assert former == shuffled
    assert [rounds_of(version) for version in ("0.1.0", "0.2.0", "0.3.0")] == [
        FORMER_ROUNDS, FORMER_ROUNDS, ROUNDS,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rounds", "first", "last"),
    [(ROUNDS, GOLDEN_FIRST, GOLDEN_LAST), (FORMER_ROUNDS, FORMER_FIRST, FORMER_LAST)],
)
def test_golden_order_of_imagenet_size(rounds: int, first: list[int], last: list[int]) -> None:
    assert order(1, 0, IMAGENET, range(6), rounds) == first
    assert order(1, 49, IMAGENET, range(IMAGENET - 3, IMAGENET), rounds) == last


def test_golden_draws() -> None:
    index = tf.constant(1_281_166, tf.int64)
    u = uniforms(augmentation_key(1), tf.constant(49, tf.int64), index)
    assert u.numpy().tolist() == GOLDEN_UNIFORMS


def test_draws_are_keyed_by_seed_pass_and_image() -> None:
    def draw(seed: int, number: int, index: int) -> tuple[float, ...]:
        key = augmentation_key(seed)
        u = uniforms(key, tf.constant(number, tf.int64), tf.constant(index, tf.int64))
        return tuple(u.numpy().tolist())

    assert draw(0, 2, 5) == draw(0, 2, 5)
    assert len({draw(s, p, i) for s in (0, 1) for p in (0, 1) for i in (0, 1)}) == 8


@settings(max_examples=60, deadline=None)
@given(
    images=st.integers(1, 50),
    per_worker=st.integers(1, 8),
    workers=st.integers(1, 4),
    first=st.integers(0, 1000),
    steps=st.integers(1, 5),
)
def test_workers_share_each_batch_in_order(
    images: int, per_worker: int, workers: int, first: int, steps: int
) -> None:
    batch = per_worker * workers
    shards = [
        Positions(images, batch, first, first + steps, worker, workers) for worker in range(workers)
    ]
    numbers = [[p.global_number(n) for n in range(p.count)] for p in shards]
    for step in range(steps):
        seen = [g for own in numbers for g in own[step * per_worker : (step + 1) * per_worker]]
        assert seen == list(range((first + step) * batch, (first + step + 1) * batch))
    first_pass, last_pass = shards[0].passes
    assert first_pass == first * batch // images
    assert last_pass == ((first + steps) * batch - 1) // images


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(UsageError, match="batch 10"):
        Positions(100, 10, 0, 1, 0, 3)


def test_ranges_of_the_reference() -> None:
    u = tf.constant([[0.0] * 11, [1 - 2.0**-52] * 11], tf.float64)
    low, high = geometry_draws(u, AUGMENTATION).numpy()
    assert low.tolist() == [0.8, 256, 0, 0, 1]
    assert high[0] == pytest.approx(1.25)
    assert high[1] == 383
    assert high[4] == 0
    dark, bright = colour_draws(u, AUGMENTATION).numpy()
    assert dark[:3] == pytest.approx([-36, 0.6, 0.6])
    assert bright[:3] == pytest.approx([36, 1.4, 1.4])
    assert np.isfinite([dark, bright]).all()


def test_steps_left_out_draw_the_identity() -> None:
    bare = AUGMENTATION.model_copy(
        update={"aspect": None, "flip": False, "hue_degrees": None, "saturation": None,
                "value": None, "pca_std": None}
    )  # fmt: skip
    u = uniforms(1, tf.constant(0, tf.int64), tf.constant(0, tf.int64))
    assert geometry_draws(u, bare).numpy()[[0, 4]].tolist() == [1, 0]
    assert colour_draws(u, bare).numpy().tolist() == [0, 1, 1, 0, 0, 0]


def test_lighting_draws_are_normal() -> None:
    key = augmentation_key(0)
    draw = tf.function(lambda i: colour_draws(uniforms(key, tf.zeros_like(i), i), AUGMENTATION))
    normals = np.array([draw(tf.constant(i, tf.int64)).numpy()[3:] for i in range(1500)])
    error = 0.1 / np.sqrt(normals.size)
    assert abs(normals.mean()) < 4 * error
    assert abs(normals.std() - 0.1) < 4 * error / np.sqrt(2)
