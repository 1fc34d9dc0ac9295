"""A reproducibility benchmark harness for ResNet on ImageNet in TensorFlow."""

__version__ = "0.1.0"
