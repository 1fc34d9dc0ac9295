import pytest

from harness.errors import ModelError
from harness.frozen import digest_of
from harness.models.catalogue import describe, names, table_of

# numbers.md, sections 4 and 9 of the project's sources: published or counted by building the
# reference's own networks. (trainable, with moving statistics)
PUBLISHED = {
    "apm5-resnet18-v1": (11_688_512, 11_698_112),
    "apm5-resnet18-v2": (11_686_720, 11_694_528),
    "apm5-resnet34-v1": (21_796_672, 21_813_696),
    "apm5-resnet34-v2": (21_794_880, 21_810_112),
    "apm5-resnet50-v1": (25_556_032, 25_609_152),
    "apm5-resnet50-v2": (25_548_352, 25_593_792),
    "apm5-resnet101-v1": (44_548_160, 44_653_504),
    "apm5-resnet101-v2": (44_540_480, 44_638_144),
    "apm5-resnet152-v1": (59_071_552, 59_216_832),
    "apm5-resnet152-v2": (59_063_872, 59_201_472),
    "apm5-resnet152-v1-paper": (60_191_808, 60_343_232),
    "apm5-resnet152-v2-paper": (60_184_128, 60_327_872),
    "apm5-resnet18-v1-2019": (11_688_512, 11_698_112),
    # torchvision's counts: option B, no bias but in the head.
    "he2015-resnet18-b": (11_689_512, 11_699_112),
    "he2015-resnet34-b": (21_797_672, 21_814_696),
    "he2015-resnet50": (25_557_032, 25_610_152),
    "resnet50-v1.5": (25_557_032, 25_610_152),
    "resnet101-v1.5": (44_549_160, 44_654_504),
    "resnet152-v1.5": (60_192_808, 60_344_232),
    # Keras' own summaries.
    "keras-resnet50": (25_583_592, 25_636_712),
    "keras-resnet101": (44_601_832, 44_707_176),
    "keras-resnet152": (60_268_520, 60_419_944),
    "keras-resnet50v2": (25_568_360, 25_613_800),
    "keras-resnet101v2": (44_577_896, 44_675_560),
    "keras-resnet152v2": (60_236_904, 60_380_648),
}


OLDER_WITHOUT_A_PUBLISHED_COUNT = (
    "apm5-resnet34-v1-2019", "he2015-resnet18-a", "he2015-resnet34-a", "he2015-resnet101",
    "he2015-resnet152",
)  # fmt: skip


@pytest.mark.parametrize(("name", "counts"), PUBLISHED.items())
def test_parameter_counts_are_the_published_ones(name: str, counts: tuple[int, int]) -> None:
    found = describe(name)
    assert (found.trainable, found.total) == counts


@pytest.mark.parametrize(("depth", "strided"), [(18, (64, 128, 256)), (34, (64, 128, 256))])
def test_option_a_lacks_exactly_the_projections(depth: int, strided: tuple[int, ...]) -> None:
    with_projections = describe(f"he2015-resnet{depth}-b").trainable
    projections = sum(c * 2 * c + 2 * 2 * c for c in strided)
    assert describe(f"he2015-resnet{depth}-a").trainable == with_projections - projections


def test_class_count_changes_the_head_alone() -> None:
    assert describe("apm5-resnet50-v2", 10).trainable == 25_548_352 - 990 * 2048
    assert describe("keras-resnet50", 10).trainable == 25_583_592 - 990 * 2049


def test_variables_keep_the_names_that_weight_files_have() -> None:
    """Paths, legacy names and shapes of the networks of version 0.2.0; a later one is not here."""
    older = (*PUBLISHED, *OLDER_WITHOUT_A_PUBLISHED_COUNT)
    tables = {n: [[v.path, v.legacy_name, v.shape] for v in table_of(n, 1_000)] for n in older}
    assert digest_of(tables) == "973bf1d820e40781d666ed4dbfd0e5104e170c9b5e9007405a81f1ac26348ab7"


def test_every_name_can_be_described() -> None:
    assert len(set(names())) == len(names())
    assert all(describe(name).trainable > 10**5 for name in names())


def test_an_unknown_model_offers_the_nearest() -> None:
    with pytest.raises(ModelError, match="apm5-resnet50-v2"):
        describe("apm5-resnet50v2")
