"""The smoke: the whole job in minutes on two cores, on real handwritten digits.

Citation: scikit-learn's digits (1,797 images of 8x8 pixels from the UCI
"Optical Recognition of Handwritten Digits" test set), written as JPEG files.
Command: `tox -e smoke`.
Expected: at least 97 % top-1 with ten crops for every declared seed.

The network, loss, optimizer and every step of the input are the reference's;
images, batch, scales and schedule are small. Digits are mirrored in training,
though a mirrored digit is another sign, because ten-crop evaluation shows
mirrored crops. The colour steps are narrower than the reference's: white
strokes on black have no colour, and the reference's widths clip their greys,
which cost about one point.
"""

from harness.recipes.protocol import center_crop, ten_crop
from harness.recipes.recipe import (
    Augmentation,
    Cosine,
    Linear,
    Loss,
    Model,
    Notes,
    Optimizer,
    Phase,
    Recipe,
)

IMAGE_SIZE = 32
SHORT_SIDE = 34

SMOKE = Recipe(
    name="smoke",
    notes=Notes(
        title="ResNet-18 v2 on small images, a few epochs",
        citation="scikit-learn's digits (UCI Optical Recognition of Handwritten Digits)",
        command="tox -e smoke",
        expected="at least 97 % top-1 on the held-out digits, ten crops",
    ),
    model=Model(name="apm5-resnet18-v2", image_size=IMAGE_SIZE),
    batch=32,
    phases=(
        Phase(epochs=1, rate=Linear(start=1e-4, end=0.05)),
        Phase(epochs=8, rate=Cosine(start=0.05, alpha=1e-4), reset_momentum=True),
    ),
    optimizer=Optimizer(momentum=0.9, nesterov=True),
    loss=Loss(label_smoothing=0.1, weight_decay=1e-4),
    augmentation=Augmentation(
        aspect=(0.9, 1.1),
        short_side=(34, 39),
        flip=True,
        hue_degrees=36.0,
        saturation=(0.9, 1.1),
        value=(0.9, 1.1),
        pca_std=0.02,
    ),
    epoch_protocol=center_crop(SHORT_SIDE, IMAGE_SIZE),
    final_protocols=(center_crop(SHORT_SIDE, IMAGE_SIZE), ten_crop(SHORT_SIDE, IMAGE_SIZE)),
)
