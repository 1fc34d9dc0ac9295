"""Small data sets that are known by the SHA-256 of their files, unpacked.

Sources: Fashion-MNIST, Debian's package `dataset-fashion-mnist`; MNIST, many
projects that check the same four sums; CIFAR, the sums that torchvision's port
to Ruby checks after unpacking (for CIFAR-10's test file others agree). A sum
that were wrong here could only leave a set without its name. KMNIST and EMNIST
are read as well; for their unpacked files no sums were at hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.sources.source import Truth

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
IDX_FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)


@dataclass(frozen=True)
class KnownSet:
    """A published data set.

    Attributes:
        kind: word that runs, targets and baselines know it by.
        name: as its authors write it.
        files: SHA-256 of each file's unpacked content by the file's published name.
    """

    kind: str
    name: str
    files: Mapping[str, str]


FASHION_MNIST = KnownSet(
    "fashion_mnist",
    "Fashion-MNIST",
    {
        TRAIN_IMAGES: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        TRAIN_LABELS: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        TEST_IMAGES: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        TEST_LABELS: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
)
MNIST = KnownSet(
    "mnist",
    "MNIST",
    {
        TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
)
CIFAR_10 = KnownSet(
    "cifar10",
    "CIFAR-10",
    {
        "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
        "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    },
)
CIFAR_100 = KnownSet(
    "cifar100",
    "CIFAR-100",
    {
        "train.bin": "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
        "test.bin": "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
    },
)
KNOWN_SETS = (FASHION_MNIST, MNIST, CIFAR_10, CIFAR_100)
KNOWN_FILES = {
    sha256: (known, name) for known in KNOWN_SETS for name, sha256 in known.files.items()
}
"""The set and the published name of each known content."""


def nearest_set(found: Mapping[str, str]) -> KnownSet | None:
    """The known set that most of these files are of; None where none of them is known.

    Args:
        found: SHA-256 of each file's unpacked content by its published name.
    """
    known = [KNOWN_FILES[sha256][0] for sha256 in found.values() if sha256 in KNOWN_FILES]
    return max(known, key=known.count) if known else None


def file_truths(known: KnownSet, found: Mapping[str, str]) -> tuple[Truth, ...]:
    """What is known of each file of a set, and what was found."""
    return tuple(
        Truth(
            fact=f"SHA-256 of {known.name}'s {name}",
            expected=sha256,
            found=found.get(name, "no such file"),
            holds=found.get(name) == sha256,
        )
        for name, sha256 in known.files.items()
    )
