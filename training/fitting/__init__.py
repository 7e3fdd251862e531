"""Fitting a network: losses, steps, checkpoints, fine-tuning."""
