"""The reference's ResNet-18, code of December 2019.

Citation: `Apm5/ImageNet_Tensorflow2.0` at 5c1a582, README and config.py.
Command: `harness run apm5-resnet18 --data IMAGENET_DIR --seed 1 --seed 2 --seed 3`.
Expected: top-1 71.60 % with ten crops, 69.15 % with a center crop (one run, no
seed, no spread).

Known deviations and ambiguities:
    As for `apm5-resnet50`. If the published number came from v1, its basic block
    had one ReLU more than today (removed in 03ee8c9): that network is
    `--set model.name=apm5-resnet18-v1-2019`.
    The README calls this a reproduction of He et al. 2015, whose ResNet-18 has
    72.12 % with ten crops: 0.52 points more.
"""

from harness.recipes.published.apm5 import apm5_recipe

APM5_RESNET18 = apm5_recipe(
    name="apm5-resnet18",
    model="apm5-resnet18-v2",
    title="ResNet-18 v2 as trained by the reference, code of December 2019",
    expected="71.60 % top-1 with ten crops, 69.15 % with a center crop (n = 1)",
    deviations=(
        "which variant made the published number is not stated; the scripts build v2",
        "order and augmentation are stateless draws from the seed, the reference's are racy",
    ),
)
