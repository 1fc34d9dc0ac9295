"""Recipes of the reference, `Apm5/ImageNet_Tensorflow2.0`.

Citation: the repository's README at commit 5c1a582 (2019-12-16), where the
accuracy table was published, and the code beside it.
Command: `IMAGENET_DIR=... tox -e reproduce-resnet50`, or
`harness run apm5-resnet50 --data DIR --seed 1 --seed 2 --seed 3`.
Expected: top-1 77.72 % with ten crops, 75.96 % with a center crop (one run,
no seed, no spread).

Known deviations and ambiguities:
    The README says "ResNet-50"; the scripts build `ResNet_v2(50)`, so this does.
    Order and augmentation are keyed by (seed, pass, image) where the reference
    draws from a shared generator in parallel threads: equally distributed,
    and repeatable.
    The state of the code that trained the published weights is unknown: batch
    size, scale range and nesterov changed in the two weeks before.
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
    Precision,
    Recipe,
)

CITATION = "Apm5/ImageNet_Tensorflow2.0, commit 5c1a582 (2019-12-16)"

AUGMENTATION = Augmentation(
    aspect=(0.8, 1.25),
    short_side=(256, 384),
    flip=True,
    hue_degrees=36.0,
    saturation=(0.6, 1.4),
    value=(0.6, 1.4),
    pca_std=0.1,
)
"""The reference's seven steps (utils/data_augmentation.py)."""

LOSS = Loss(label_smoothing=0.1, weight_decay=1e-4, decayed="kernels")

PEAK_RATE = 0.05
BATCH = 128

PHASES_2019 = (
    Phase(epochs=1, rate=Linear(start=1e-4, end=PEAK_RATE)),
    Phase(epochs=50, rate=Cosine(start=PEAK_RATE, alpha=1e-4), reset_momentum=True),
)
"""One extra warm-up epoch under an optimizer of its own, then 50 epochs of cosine.

`minimum_learning_rate` is handed to `CosineDecay` as its fraction alpha, so the
floor is 5e-6.
"""


def apm5_recipe(
    *, name: str, model: str, title: str, expected: str, deviations: tuple[str, ...] = ()
) -> Recipe:
    """The 2019 recipe around one of the reference's networks."""
    return Recipe(
        name=name,
        notes=Notes(
            title=title,
            citation=CITATION,
            command=f"harness run {name} --data IMAGENET_DIR --seed 1 --seed 2 --seed 3",
            expected=expected,
            deviations=deviations,
        ),
        model=Model(name=model, image_size=224),
        batch=BATCH,
        phases=PHASES_2019,
        optimizer=Optimizer(momentum=0.9, nesterov=True),
        loss=LOSS,
        augmentation=AUGMENTATION,
        epoch_protocol=center_crop(),
        final_protocols=(center_crop(), ten_crop()),
    )


APM5_RESNET50 = apm5_recipe(
    name="apm5-resnet50",
    model="apm5-resnet50-v2",
    title="ResNet-50 v2 as trained by the reference, code of December 2019",
    expected="77.72 % top-1 with ten crops, 75.96 % with a center crop (n = 1)",
    deviations=(
        "which variant made the published number is not stated; the scripts build v2",
        "order and augmentation are stateless draws from the seed, the reference's are racy",
    ),
)


def _in_precision(suffix: str, precision: Precision, words: str) -> Recipe:
    """The 2019 recipe in another arithmetic; variables stay float32."""
    name = f"{APM5_RESNET50.name}-{suffix}"
    notes = APM5_RESNET50.notes.model_copy(
        update={
            "title": f"{APM5_RESNET50.notes.title}, {words}",
            "command": f"harness run {name} --data IMAGENET_DIR --seed 1 --seed 2 --seed 3",
            "deviations": (
                f"precision: {words}; the reference's is float32",
                *APM5_RESNET50.notes.deviations,
            ),
        }
    )
    return APM5_RESNET50.model_copy(update={"name": name, "notes": notes, "precision": precision})


APM5_RESNET50_BF16 = _in_precision(
    "bf16", Precision(compute="bfloat16"), "bfloat16 arithmetic with float32 variables"
)
APM5_RESNET50_TF32 = _in_precision(
    "tf32", Precision(tf32=True), "TensorFloat-32 in matrix products and convolutions"
)
"""The same training where a GPU is several times faster: each a recipe and a target of its own."""
