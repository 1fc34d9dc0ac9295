"""The input normalisations that published weights were trained with, by name.

Using another one is the commonest reason why imported weights score low.

Sources:
    apm5: Apm5/ImageNet_Tensorflow2.0 5c1a582, config.py.
    caffe, tf, torch: keras.applications.imagenet_utils.preprocess_input; Keras
    Applications' ResNets were published with `caffe`, their V2 with `tf`, and
    torchvision's with `torch`.
    mnist: mean and deviation of MNIST's training pixels, as PyTorch's examples
    have them; zhunzhong07/Random-Erasing ddae4ed, fashionmnist.py.
    cifar10: means of CIFAR-10's training pixels, subtracted alone.
"""

from pydantic import ValidationError

from harness.errors import UsageError
from harness.recipes.protocol import APM5_NORMALISATION, Normalisation

NORMALISATIONS: dict[str, Normalisation] = {
    "apm5": APM5_NORMALISATION,
    "caffe": Normalisation(channels="bgr", mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0)),
    "tf": Normalisation(channels="rgb", mean=(1.0, 1.0, 1.0), std=(1.0, 1.0, 1.0), scale=127.5),
    "torch": Normalisation(
        channels="rgb", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), scale=255.0
    ),
    "mnist": Normalisation(channels="grey", mean=(0.1307,), std=(0.3081,), scale=255.0),
    "cifar10": Normalisation(channels="rgb", mean=(125.3, 123.0, 113.9), std=(1.0, 1.0, 1.0)),
}


def find_normalisation(name: str) -> Normalisation:
    """The normalisation of this name, or of a JSON object with its fields.

    Raises:
        UsageError: an unknown name, or fields that make none.
    """
    found = f"there is no normalisation named {name!r}"
    if name in NORMALISATIONS:
        return NORMALISATIONS[name]
    if name.startswith("{"):
        try:
            return Normalisation.model_validate_json(name)
        except ValidationError as error:
            found = f"{name} is no normalisation: {error.errors()[0]['msg']}"
    raise UsageError(
        found,
        expected=f"one of {', '.join(NORMALISATIONS)}, or its fields as a JSON object, such as "
        f"{NORMALISATIONS['torch'].model_dump_json()}",
        remedy="take the one that the weights were trained with",
    )


def normalisation_name(normalisation: Normalisation) -> str:
    """Its name, or its values where it has none."""
    for name, known in NORMALISATIONS.items():
        if known == normalisation:
            return name
    return normalisation.model_dump_json()
