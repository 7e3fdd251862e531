"""Denoising with TorchScript bundles."""
