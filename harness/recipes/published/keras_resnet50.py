"""Keras Applications' ResNet50 under the reference's recipe.

Citation: the article series beside `Apm5/ImageNet_Tensorflow2.0`, which offers
`tf.keras.applications.ResNet50(weights=None)` as the alternative to its own
network; `keras.applications.ResNet50`.
Command: `harness run keras-resnet50 --data IMAGENET_DIR --seed 1`.
Expected: no figure is published for this combination. Keras' own ImageNet
weights, converted from Caffe and trained otherwise, have 74.93 % with a center
crop.

Known deviations:
    The network is that of the installed Keras, not of TensorFlow 2.0: batch
    normalisation is Keras 3's, whose moving variance lacks the factor N / (N - 1).
    Weight decay is on kernels alone, as in the reference; this network's
    convolutions have biases too.
    Order and augmentation are stateless draws from the seed; the reference's
    come from a shared generator in parallel threads.
"""

from harness.recipes.published.apm5 import apm5_recipe

KERAS_RESNET50 = apm5_recipe(
    name="keras-resnet50",
    model="keras-resnet50",
    title="Keras Applications' ResNet50 under the reference's recipe",
    expected="no figure is published for this combination",
    deviations=(
        "batch normalisation is Keras 3's: moving variance without the factor N / (N - 1)",
        "weight decay is on kernels alone; this network's convolutions have biases too",
        "order and augmentation are stateless draws from the seed, the reference's are racy",
    ),
)
