"""The cross loss: bias counts squared, variance does not, and what noise hides is not asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from training.config import CrossSettings
from training.data.scenes import Batch
from training.fitting.cross_loss import cross_loss

SIZE, OBJECTS = 32, 400
NOTHING = CrossSettings(fine=0, structure=0, tube=0, squares=0, regions=0, edges=0, air=1, start=0)


def batch_of(level: float, noise: float = 0.5) -> tuple[Batch, torch.Tensor]:
    """Objects with a square of 16 pixels of a level, and independent noise of two draws, (2 objects, ...)."""
    square = torch.zeros(OBJECTS, 1, 2, SIZE, SIZE)
    square[:, 0, 0, 12:16, 12:16] = level
    clean = 10 + square[:, 0]
    errors = noise * torch.randn(2 * OBJECTS, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    body = torch.ones(OBJECTS, 1, SIZE, SIZE)
    none = torch.zeros_like(square)
    return Batch(clean.repeat_interleave(2, 0), clean, body, none, square, none, torch.full((OBJECTS,), 30.0)), errors


def outputs(batch: Batch, errors: torch.Tensor, change: float) -> torch.Tensor:
    """The truth with noise, its structures changed by a part of themselves."""
    return batch.clean.repeat_interleave(2, 0) + change * batch.structures.sum(1).repeat_interleave(2, 0) + errors


def scale(batch: Batch) -> float:
    """The weight of an image of this peak."""
    return float(torch.rsqrt(batch.clean.square().sum(1).amax() ** 0.5 / 10))


@pytest.mark.parametrize("change", [0.0, -0.4, -1.0])
def test_a_structure_costs_its_squared_relative_bias(change: float) -> None:
    batch, errors = batch_of(level=3.0)  # contrast-to-noise ratio 12: counts in full
    made = outputs(batch, errors, change)
    with_it = cross_loss(made, batch, NOTHING.model_copy(update={"structure": 1.0}))
    without = cross_loss(made, batch, NOTHING)
    assert float(with_it - without) / scale(batch) == pytest.approx(change**2, abs=0.01)


def test_what_noise_hides_is_not_asked_for() -> None:
    batch, errors = batch_of(level=0.5)  # contrast-to-noise ratio 2
    made = outputs(batch, errors, -1.0)
    settings = NOTHING.model_copy(update={"structure": 1.0})
    assert float(cross_loss(made, batch, settings)) == pytest.approx(float(cross_loss(made, batch, NOTHING)))


def test_means_over_squares_and_fine_structure_count_bias_without_variance() -> None:
    batch, errors = batch_of(level=3.0)
    unbiased, biased = (outputs(batch, errors, change) for change in (0.0, -0.5))
    for part in ("squares", "fine"):
        settings = NOTHING.model_copy(update={part: 1.0})
        at_truth, off = (
            float(cross_loss(made, batch, settings) - cross_loss(made, batch, NOTHING)) for made in (unbiased, biased)
        )
        assert abs(at_truth) < 0.02 and off > 0.15


def test_a_tube_counts_in_noise_standard_deviations() -> None:
    batch, errors = batch_of(level=3.0)
    batch = replace(batch, tubes=batch.structures, structures=torch.zeros_like(batch.structures))
    made = batch.clean.repeat_interleave(2, 0) + 0.2 * batch.tubes.sum(1).repeat_interleave(2, 0) + errors
    settings = NOTHING.model_copy(update={"tube": 1.0})
    found = float(cross_loss(made, batch, settings) - cross_loss(made, batch, NOTHING)) / scale(batch)
    assert found == pytest.approx((0.2 * 3.0) ** 2, abs=0.02)


def test_the_other_parts_come_in_after_a_part_of_the_run() -> None:
    batch, errors = batch_of(level=3.0)
    made = outputs(batch, errors, -0.5)
    settings = NOTHING.model_copy(update={"structure": 1.0, "start": 0.4})
    losses = [float(cross_loss(made, batch, settings, progress)) for progress in (0.0, 0.4, 0.425, 0.5, 1.0)]
    assert losses[0] == losses[1] < losses[2] < losses[3] == losses[4]


def test_a_region_costs_the_squared_bias_of_its_mean_in_units_of_the_noise_of_that_mean() -> None:
    batch, errors = batch_of(level=3.0)
    region = torch.zeros_like(batch.structures)
    region[:, 0, 0, 12:16, 12:16] = 1.0
    batch = replace(batch, regions=region)
    settings = NOTHING.model_copy(update={"regions": 1.0})
    for bias in (0.0, 0.5):
        made = batch.clean.repeat_interleave(2, 0) + bias * region.sum(1).repeat_interleave(2, 0) + errors
        found = float(cross_loss(made, batch, settings) - cross_loss(made, batch, NOTHING)) / scale(batch)
        assert found == pytest.approx(16 * bias**2, abs=0.1)


def test_a_region_of_few_pixels_does_not_count() -> None:
    batch, errors = batch_of(level=3.0)
    region = torch.zeros_like(batch.structures)
    region[:, 0, 0, 12, 12:16] = 1.0
    batch = replace(batch, regions=region)
    made = outputs(batch, errors, -1.0)
    assert float(cross_loss(made, batch, NOTHING.model_copy(update={"regions": 1.0}))) == float(
        cross_loss(made, batch, NOTHING)
    )


def test_fine_structure_counts_in_each_window() -> None:
    """Too much in one place does not make up for too little in another, as it does over the whole object."""
    batch, errors = batch_of(level=3.0)
    square = batch.structures.sum(1)
    other = square.roll((8, 8), (2, 3))
    batch = replace(batch, clean=batch.clean + other)
    change = (0.5 * (other - square)).repeat_interleave(2, 0)
    made = batch.clean.repeat_interleave(2, 0) + change + errors
    found = {}
    for part in ("edges", "fine"):
        settings = NOTHING.model_copy(update={part: 1.0})
        found[part] = float(cross_loss(made, batch, settings) - cross_loss(made, batch, NOTHING))
    assert found["edges"] > 5 and abs(found["fine"]) < 0.05


def test_noise_in_air_counts_as_often_as_it_says() -> None:
    batch, errors = batch_of(level=3.0)
    batch.body[..., :16] = 0
    made = outputs(batch, errors, 0.0)
    settings = NOTHING.model_copy(update={"air": 3.0})
    half = float(cross_loss(made, batch, NOTHING)) / 2
    assert float(cross_loss(made, batch, settings)) == pytest.approx(half + 3 * half, rel=0.01)


def test_structures_count_less_at_few_averages() -> None:
    batch, errors = batch_of(level=3.0)
    made, settings = outputs(batch, errors, -1.0), NOTHING.model_copy(update={"structure": 1.0})
    nothing, found = cross_loss(made, batch, NOTHING), []
    for averages in (10.0, 30.0, 90.0):
        some = replace(batch, averages=torch.full((OBJECTS,), averages))
        found.append(float(cross_loss(made, some, settings) - nothing) / scale(batch))
    assert found == pytest.approx([1 / 9, 1, 1], abs=0.01)
