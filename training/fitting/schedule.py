"""The learning rate over a run."""

from __future__ import annotations

import math

from training.config import FitSettings


def learning_rate(settings: FitSettings, step: int, progress: float) -> float:
    """The rate of a step: a linear warm-up, then constant, or half a cosine down to the last rate.

    Args:
        step: from 0.
        progress: 0 at the start of the run, 1 at its end.
    """
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        low = settings.last_learning_rate
        rate = low + (rate - low) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
    return rate * min(1.0, (step + 1) / max(settings.warm_up, 1))
