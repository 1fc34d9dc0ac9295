"""Transfer: a new head on imported weights, as the reference's article suggests.

Citation: the reference's article reuses its trained weights for other classes
and gives no recipe for it; the settings here are ours.
Command: `harness run transfer --init WEIGHTS --data DIR --seed 1`, for weights of
another network with `--set model.name=apm5-resnet18-v2`. A file that does not say
how its images were normalised needs `--normalisation NAME`; where that is not the
recipe's, `--set normalisation=NAME` too.
Expected: above `transfer-scratch`, which is the same recipe without the weights;
`harness run transfer` prints the paired comparison with the scratch run of the
same settings, data and seed in the same runs folder, or the commands for it.
"""

from harness.recipes.protocol import center_crop, ten_crop
from harness.recipes.published.apm5 import AUGMENTATION, LOSS
from harness.recipes.recipe import Cosine, Linear, Model, Notes, Optimizer, Phase, Recipe, Trunk

EPOCHS = 10
PEAK_RATE = 0.01


def _transfer(name: str, trunk: Trunk, title: str, init: str) -> Recipe:
    return Recipe(
        name=name,
        notes=Notes(
            title=title,
            citation="settings of this project",
            command=f"harness run {name} {init}--data DIR --seed 1",
            expected="transfer above transfer-scratch on a small data set",
        ),
        model=Model(name="apm5-resnet50-v2", image_size=224, trunk=trunk),
        batch=32,
        phases=(
            Phase(epochs=1, rate=Linear(start=1e-4, end=PEAK_RATE)),
            Phase(epochs=EPOCHS - 1, rate=Cosine(start=PEAK_RATE, alpha=1e-4)),
        ),
        optimizer=Optimizer(momentum=0.9, nesterov=True),
        loss=LOSS,
        augmentation=AUGMENTATION,
        epoch_protocol=center_crop(),
        final_protocols=(center_crop(), ten_crop()),
    )


TRANSFER = _transfer(
    "transfer", "imported", "A new head on imported weights, all trained", "--init WEIGHTS "
)
TRANSFER_FROZEN = _transfer(
    "transfer-frozen", "imported_frozen", "A new head on a trunk that stays as it is",
    "--init WEIGHTS ",
)  # fmt: skip
TRANSFER_SCRATCH = _transfer(
    "transfer-scratch", "from_seed", "The same without imported weights, to compare with", ""
)
