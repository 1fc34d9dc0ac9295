"""The paper's ResNet-50.

Citation: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition"
(arXiv:1512.03385), section 3.4 and Tables 3 and 4; initialisation: He et al.,
arXiv:1502.01852; colour augmentation: Krizhevsky et al. 2012, section 4.1.
Command: `harness run he2015-resnet50 --data IMAGENET_DIR --seed 1`.
Expected: top-1 77.15 % with ten crops (error 22.85 %), 79.26 % fully
convolutional at five scales (error 20.74 %); 75.3 % with a center crop by the
authors' released weights.

Known deviations, our choices where the paper is silent or lacks a rule:
    The paper divides the rate by 10 "when the error plateaus", within 60e4
    iterations; here at epochs 30, 60 and 90 of 120 (600,480 steps).
    The mean is subtracted for each channel, not for each pixel.
    Crop offsets, resizing and PCA lighting are the pipeline's: bilinear
    without antialiasing, the last crop offset never drawn, the lighting's offsets
    added in its channel order.
    The stem is padded by the same number of pixels on each side; Caffe's
    pooling rounds up instead.
    Batch normalisation has epsilon 1e-5 and keeps moving averages with weight 0.1
    for the new value; the authors computed the final statistics over a large batch
    afterwards.
    Momentum has the rate inside its slot and weight decay is on all parameters,
    biases and batch normalisation too; the paper does not say.
    Kernels are normal with the deviation of their fan-in, the last layer's too.
    Probabilities are averaged over the scales; the paper says scores.
    Batches run across passes. Order, augmentation and initial weights are
    stateless draws from the seed.
"""

from harness.recipes.normalisations import NORMALISATIONS
from harness.recipes.protocol import center_crop, multi_scale, ten_crop
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

PEAK_RATE = 0.1
MEAN_ONLY = NORMALISATIONS["caffe"]

PHASES = tuple(
    Phase(epochs=30, rate=Constant(rate=rate))
    for rate in (PEAK_RATE, PEAK_RATE / 10, PEAK_RATE / 100, PEAK_RATE / 1000)
)

HE2015_RESNET50 = Recipe(
    name="he2015-resnet50",
    notes=Notes(
        title="ResNet-50 as in the paper of 2015",
        citation="arXiv:1512.03385, section 3.4 and Tables 3 and 4",
        command="harness run he2015-resnet50 --data IMAGENET_DIR --seed 1",
        expected="77.15 % top-1 with ten crops, 79.26 % at five scales",
        deviations=(
            "the rate falls at epochs 30, 60 and 90 of 120; the paper says on plateau",
            "the mean is subtracted for each channel; the paper does so for each pixel",
            "the stem is padded alike on both sides; Caffe's pooling rounds up",
            "moving averages of batch statistics; the authors recomputed them at the end",
            "batch normalisation: epsilon 1e-5, weight 0.1 of the new value; the paper is silent",
            "rate inside the momentum; the paper does not say",
            "decay on all parameters, biases and batch normalisation too; the paper does not say",
            "kernels are normal by fan-in, the last layer's too; the paper names the method alone",
            "resizing is bilinear without antialiasing and the last crop offset is never drawn",
            "the lighting's offsets are added in BGR order, though their table is in RGB order",
            "probabilities are averaged over the scales; the paper says scores",
            "batches run across passes",
            "order, augmentation and initial weights are stateless draws from the seed",
        ),
    ),
    model=Model(name="he2015-resnet50", image_size=224, initializer="he_normal"),
    batch=256,
    phases=PHASES,
    optimizer=Optimizer(momentum=0.9, nesterov=False),
    loss=Loss(label_smoothing=0.0, weight_decay=1e-4, decayed="all"),
    augmentation=Augmentation(
        aspect=None,
        short_side=(256, 481),
        flip=True,
        pca_std=0.1,
    ),
    normalisation=MEAN_ONLY,
    epoch_protocol=center_crop(normalisation=MEAN_ONLY),
    final_protocols=(
        center_crop(normalisation=MEAN_ONLY),
        ten_crop(normalisation=MEAN_ONLY),
        multi_scale(normalisation=MEAN_ONLY),
    ),
)
