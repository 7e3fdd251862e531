"""nadenoise: rapid 2D 23Na MRI with a denoising convolutional neural network."""

__version__ = "0.1.0"
