"""The reference at HEAD: momentum without nesterov, warm-up within the 50 epochs.

Citation: `Apm5/ImageNet_Tensorflow2.0` at a893b39 (2020-09-25), train.py
(`CosineDecayWithWarmUP`) and config.py.
Command: `harness run apm5-resnet50-2020 --data IMAGENET_DIR --seed 1`, and
`harness run apm5-resnet18-2020 --data IMAGENET_DIR --seed 1`.
Expected: no figure is published for this state of the code; the README still
shows the table of December 2019.

Differences from `apm5-resnet50`:
    The first of 50 epochs rises from 0 to 0.05 (5c1a582: one extra epoch from
    0.0001); cosine decay over the remaining 49.
    One optimizer throughout, so that momentum is not reset after the warm-up.
    Momentum 0.9 without nesterov.

Known deviations:
    Order and augmentation are stateless draws from the seed; the reference's
    come from a shared generator in parallel threads.
"""

from harness.recipes.published.apm5 import PEAK_RATE, apm5_recipe
from harness.recipes.recipe import Cosine, Linear, Optimizer, Phase, Recipe

CITATION = "Apm5/ImageNet_Tensorflow2.0, commit a893b39 (2020-09-25)"

PHASES_2020 = (
    Phase(epochs=1, rate=Linear(start=0.0, end=PEAK_RATE)),
    Phase(epochs=49, rate=Cosine(start=PEAK_RATE, alpha=1e-4)),
)


def _recipe_2020(depth: int) -> Recipe:
    older = apm5_recipe(
        name=f"apm5-resnet{depth}-2020",
        model=f"apm5-resnet{depth}-v2",
        title=f"ResNet-{depth} v2 by the reference's code of September 2020",
        expected="no figure is published for this state of the code",
        deviations=(
            "order and augmentation are stateless draws from the seed, the reference's are racy",
        ),
    )
    return older.model_copy(
        update={
            "notes": older.notes.model_copy(update={"citation": CITATION}),
            "phases": PHASES_2020,
            "optimizer": Optimizer(momentum=0.9, nesterov=False),
        }
    )


APM5_RESNET50_2020 = _recipe_2020(50)
APM5_RESNET18_2020 = _recipe_2020(18)
