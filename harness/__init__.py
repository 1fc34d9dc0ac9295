"""A reproducibility benchmark harness for ResNet on ImageNet in TensorFlow."""

__version__ = "0.2.0"
