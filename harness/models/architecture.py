"""Residual networks as values: everything in which published variants differ.

Sources:
    He et al. 2015, "Deep Residual Learning" (arXiv:1512.03385), section 3.3 and Table 1;
        section 4.2 for the small networks.
    He et al. 2016, "Identity Mappings" (arXiv:1603.05027), Figure 1b.
    Apm5/ImageNet_Tensorflow2.0 at 5c1a582 and a893b39, model/ResNet.py and model/ResNet_v2.py.
"""

from dataclasses import dataclass, replace
from typing import Literal

Shortcut = Literal["pooled_projection", "projection", "zero_padding"]

FILTERS = (64, 128, 256, 512)
SMALL_FILTERS = (16, 32, 64)
SMALL_DEPTHS = (20, 32, 44, 56, 110)
"""Of section 4.2: 6 n + 2 layers, n blocks in each of three stages."""
BATCH_NORM_MOMENTUM = 0.9
BATCH_NORM_EPSILON = 1e-5

_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
_APM5_BLOCKS_152 = (3, 4, 36, 3)


@dataclass(frozen=True)
class Architecture:
    """One residual network.

    Attributes:
        name: Name in the catalogue.
        source: Where it is published.
        blocks: Residual blocks in each stage.
        bottleneck: 1x1-3x3-1x1 blocks with four times the filters; else two 3x3.
        preactivation: v2, batch normalisation and ReLU before each convolution; else v1.
        stride_on_first: The stride of a bottleneck block lies on its first 1x1
            convolution (the paper); else on the 3x3 (v1.5). Basic blocks always
            have it on the first 3x3.
        shortcut: Where a block changes size: 2x2 average pooling and a 1x1
            projection (the reference), a strided 1x1 projection (the paper's option
            B), or subsampling with channels of zeros (option A).
        symmetric_padding: The stem is padded by 3 and 1 pixels on each side, as
            Caffe and Torch do; else TensorFlow's SAME, which pads more at the end.
        head_bias: The last dense layer has a bias.
        filters: Channels of the 3x3 convolutions in each stage; the stem has the first
            stage's.
        small_stem: The stem is one 3x3 convolution; else a 7x7 of stride 2 and
            a maximum pooling of stride 2.
        extra_relu: The basic v1 block applies a ReLU to its residual branch before
            the addition, as the reference did until 03ee8c9.
    """

    name: str
    source: str
    blocks: tuple[int, ...]
    bottleneck: bool
    preactivation: bool
    stride_on_first: bool = False
    shortcut: Shortcut = "pooled_projection"
    symmetric_padding: bool = False
    head_bias: bool = False
    filters: tuple[int, ...] = FILTERS
    small_stem: bool = False
    extra_relu: bool = False

    def width(self, stage: int) -> int:
        """Channels that leave a stage, counted from 0."""
        return self.filters[stage] * (4 if self.bottleneck else 1)

    def convolutions(self, stage: int) -> tuple[tuple[int, int], ...]:
        """(kernel size, filters) of each convolution of a block of a stage."""
        filters = self.filters[stage]
        if self.bottleneck:
            return ((1, filters), (3, filters), (1, 4 * filters))
        return ((3, filters), (3, filters))

    @property
    def strided_convolution(self) -> int:
        """Index of the convolution that carries a block's stride."""
        return 1 if self.bottleneck and not self.stride_on_first else 0

    def projects(self, stage: int, block: int) -> bool:
        """Whether a block's shortcut has a convolution."""
        changes = block == 0 and (stage > 0 or self.bottleneck)
        return changes and self.shortcut != "zero_padding"


def architectures() -> dict[str, Architecture]:
    """Every residual network that is built here, by name."""
    found = [*_apm5(), *_apm5_variants(), *_he2015(), *_he2015_small(), *_v1_5()]
    return {architecture.name: architecture for architecture in found}


def _apm5() -> list[Architecture]:
    """The reference's ten networks, 152 as its code has it."""
    return [
        Architecture(
            name=f"apm5-resnet{depth}-v{version}",
            source=f"Apm5/ImageNet_Tensorflow2.0 a893b39, ResNet{'_v2' * (version == 2)}({depth})",
            blocks=_APM5_BLOCKS_152 if depth == 152 else _BLOCKS[depth],
            bottleneck=depth >= 50,
            preactivation=version == 2,
        )
        for depth in _BLOCKS
        for version in (1, 2)
    ]


def _apm5_variants() -> list[Architecture]:
    """152 with the paper's number of blocks; basic v1 as it was when the table was published."""
    by_name = {architecture.name: architecture for architecture in _apm5()}
    paper = [
        replace(
            by_name[f"apm5-resnet152-v{version}"],
            name=f"apm5-resnet152-v{version}-paper",
            source="the reference's blocks, (3, 8, 36, 3) of them as in arXiv:1512.03385 Table 1",
            blocks=_BLOCKS[152],
        )
        for version in (1, 2)
    ]
    extra_relu = [
        replace(
            by_name[f"apm5-resnet{depth}-v1"],
            name=f"apm5-resnet{depth}-v1-2019",
            source="Apm5/ImageNet_Tensorflow2.0 5c1a582: ReLU on the residual branch too",
            extra_relu=True,
        )
        for depth in (18, 34)
    ]
    return paper + extra_relu


def _he2015() -> list[Architecture]:
    """The paper's networks; option A has no depth above 34 in the paper."""
    options: list[tuple[int, Literal["a", "b"]]] = [
        (18, "a"), (18, "b"), (34, "a"), (34, "b"), (50, "b"), (101, "b"), (152, "b"),
    ]  # fmt: skip
    return [
        Architecture(
            name=f"he2015-resnet{depth}-{option}" if depth < 50 else f"he2015-resnet{depth}",
            source=f"arXiv:1512.03385 Table 1, shortcut option {option.upper()}",
            blocks=_BLOCKS[depth],
            bottleneck=depth >= 50,
            preactivation=False,
            stride_on_first=True,
            shortcut="zero_padding" if option == "a" else "projection",
            symmetric_padding=True,
            head_bias=True,
        )
        for depth, option in options
    ]


def _he2015_small() -> list[Architecture]:
    """The paper's networks for images of about 32 pixels; the paper trains option A."""
    return [
        Architecture(
            name=f"he2015-cifar-resnet{depth}-{option}",
            source=f"arXiv:1512.03385 section 4.2, shortcut option {option.upper()}",
            blocks=((depth - 2) // 6,) * len(SMALL_FILTERS),
            bottleneck=False,
            preactivation=False,
            shortcut="zero_padding" if option == "a" else "projection",
            symmetric_padding=True,
            head_bias=True,
            filters=SMALL_FILTERS,
            small_stem=True,
        )
        for depth in SMALL_DEPTHS
        for option in ("a", "b")
    ]


def _v1_5() -> list[Architecture]:
    """Stride on the 3x3, as in fb.resnet.torch, torchvision and MLPerf."""
    return [
        Architecture(
            name=f"resnet{depth}-v1.5",
            source="facebookarchive/fb.resnet.torch 985e569: stride on the 3x3 convolution",
            blocks=_BLOCKS[depth],
            bottleneck=True,
            preactivation=False,
            shortcut="projection",
            symmetric_padding=True,
            head_bias=True,
        )
        for depth in (50, 101, 152)
    ]
