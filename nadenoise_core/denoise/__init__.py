"""Denoising with TorchScript bundles."""

from nadenoise_core import make_callable

make_callable(__name__)
