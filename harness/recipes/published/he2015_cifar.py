"""The paper's networks on CIFAR-10.

Citation: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition"
(arXiv:1512.03385), section 4.2 and Table 6; initialisation: He et al.,
arXiv:1502.01852.
Command: `harness run he2015-cifar10-resnet20 --data CIFAR10_DIR --seed 1`, and
`-resnet32`, `-resnet44`, `-resnet56`, `-resnet110`.
Expected: test error 8.75, 7.51, 7.17, 6.97 and 6.43 %, the last the best of five
runs of 6.61 +- 0.16 %.

Known deviations, our choices where the paper is silent or leaves one:
    The mean of each channel is subtracted (125.3, 123.0, 113.9), not of each pixel.
    Padding is black pixels, there before the mean is subtracted.
    All training images of the data set are trained on; what the figures of Table 6
    were trained on is left open.
    The accuracy that counts is that of the last step.
    Momentum has the rate inside its slot and weight decay is on all parameters,
    biases and batch normalisation too, as Caffe does by default.
    Kernels are normal with the deviation of their fan-in, the last layer's too.
    Batch normalisation has epsilon 1e-5 and moving averages with weight 0.1 for
    the new value, and evaluation uses these.
    110 layers: the rate is 0.01 for 400 steps, which the paper names as about the
    time until the training error is below 80 %.
    Batch normalisation is over all 128 images of a batch, on one device; the paper
    trains "with a mini-batch size of 128 on two GPUs" and does not say over how
    many of them it normalises (64, unless the two are synchronised).
    Batches run across passes. Order, augmentation and initial weights are
    stateless draws from the seed.
"""

from harness.recipes.normalisations import NORMALISATIONS
from harness.recipes.protocol import center_crop
from harness.recipes.recipe import (
    Augmentation,
    Constant,
    Loss,
    Model,
    Notes,
    Optimizer,
    Phase,
    Recipe,
)

SIDE = 32
PEAK_RATE = 0.1
MEAN_ONLY = NORMALISATIONS["cifar10"]
WHOLE_IMAGE = center_crop(SIDE, SIDE, normalisation=MEAN_ONLY)

PHASES = (
    Phase(steps=32_000, rate=Constant(rate=PEAK_RATE)),
    Phase(steps=16_000, rate=Constant(rate=PEAK_RATE / 10)),
    Phase(steps=16_000, rate=Constant(rate=PEAK_RATE / 100)),
)
WARM_UP_STEPS = 400
PHASES_110 = (
    Phase(steps=WARM_UP_STEPS, rate=Constant(rate=PEAK_RATE / 10)),
    Phase(steps=32_000 - WARM_UP_STEPS, rate=Constant(rate=PEAK_RATE)),
    *PHASES[1:],
)
DEVIATIONS = (
    "the mean is subtracted for each channel; the paper does so for each pixel",
    "padding is black pixels, there before the mean is subtracted; the paper does not say",
    "all training images are trained on; what Table 6 was trained on is left open",
    "the last step's accuracy counts; the paper does not say which",
    "rate inside the momentum and decay on all parameters, as Caffe does by default",
    "kernels are normal by fan-in, the last layer's too; the paper names the method alone",
    "batch normalisation: epsilon 1e-5, moving averages with weight 0.1; the paper does not say",
    "all 128 images are normalised together; the paper has two GPUs, perhaps with 64 for each",
    "batches run across passes; order, augmentation and initial weights are stateless draws",
)


def _recipe(depth: int, expected: str) -> Recipe:
    name = f"he2015-cifar10-resnet{depth}"
    deepest = depth == 110
    warm_up = ("the rate is 0.01 for 400 steps; the paper waits for a training error below 80 %",)
    return Recipe(
        name=name,
        notes=Notes(
            title=f"ResNet-{depth} on CIFAR-10 as in the paper of 2015",
            citation="arXiv:1512.03385, section 4.2 and Table 6",
            command=f"harness run {name} --data CIFAR10_DIR --seed 1",
            expected=expected,
            deviations=DEVIATIONS + (warm_up if deepest else ()),
        ),
        model=Model(name=f"he2015-cifar-resnet{depth}-a", image_size=SIDE, initializer="he_normal"),
        batch=128,
        phases=PHASES_110 if deepest else PHASES,
        optimizer=Optimizer(momentum=0.9, nesterov=False),
        loss=Loss(label_smoothing=0.0, weight_decay=1e-4, decayed="all"),
        augmentation=Augmentation(aspect=None, short_side=(SIDE, SIDE + 1), flip=True, padding=4),
        normalisation=MEAN_ONLY,
        epoch_protocol=WHOLE_IMAGE,
        final_protocols=(WHOLE_IMAGE,),
    )


HE2015_CIFAR10 = (
    _recipe(20, "91.25 % top-1 (error 8.75 %)"),
    _recipe(32, "92.49 % top-1 (error 7.51 %)"),
    _recipe(44, "92.83 % top-1 (error 7.17 %)"),
    _recipe(56, "93.03 % top-1 (error 6.97 %)"),
    _recipe(110, "93.39 % top-1 on average (error 6.61 +- 0.16 %, n = 5; the best 6.43 %)"),
)
