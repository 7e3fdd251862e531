from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from training.network.residual import (
    LowPass,
    ResidualDenoiser,
    count_parameters,
    estimate_statistics,
    normalisation_layers,
)


@pytest.mark.parametrize(("tail", "counts"), [("reference", (633345, 631169)), ("paper", (632833, 630657))])
def test_the_published_numbers_of_parameters(tail: str, counts: tuple[int, int]) -> None:
    assert count_parameters(ResidualDenoiser(filters=64, blocks=8, channels=1, tail=tail)) == counts


@pytest.mark.parametrize("tail", ["paper", "reference"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_zero_initialised_network_is_the_identity(tail: str, channels: int) -> None:
    network = ResidualDenoiser(filters=4, blocks=1, channels=channels, tail=tail, zero_init=True).eval()
    image = torch.randn(2, channels, 12, 10)
    assert torch.equal(network(image), image)
    other = ResidualDenoiser(filters=4, blocks=1, channels=channels, tail=tail, zero_init=False).eval()
    assert not torch.allclose(other(image), image)


def test_the_tail_is_in_the_order_of_its_name() -> None:
    paper, reference = (ResidualDenoiser(filters=4, blocks=1, tail=tail) for tail in ("paper", "reference"))
    assert [type(layer).__name__ for layer in paper.tail] == ["Conv2d", "ReLU", "BatchNorm2d"]
    assert [type(layer).__name__ for layer in reference.tail] == ["Conv2d", "BatchNorm2d", "ReLU"]
    assert (paper.last.kernel_size, reference.last.kernel_size) == ((1, 1), (3, 3))


def test_an_unknown_tail_is_refused() -> None:
    with pytest.raises(ValueError, match="paper, reference"):
        ResidualDenoiser(tail="papier")


def test_the_low_pass_is_a_gaussian_reflected_at_the_edges() -> None:
    image = torch.randn(2, 3, 30, 26)
    expected = gaussian_filter(image.numpy(), (0, 0, 2.5, 2.5), mode="mirror", truncate=3.2)
    np.testing.assert_allclose(LowPass(3, 2.5)(image).numpy(), expected, atol=1e-5)


def test_what_is_wide_is_kept_as_measured() -> None:
    network = ResidualDenoiser(filters=4, blocks=1, keep=3.0).eval()
    with torch.no_grad():
        network.last.bias.fill_(0.5)  # a bias everywhere
        image = torch.randn(1, 1, 40, 40)
        torch.testing.assert_close(network(image), image)
        network.keep = None
        torch.testing.assert_close(network(image), image + 0.5)


def test_keeping_adds_no_parameters_and_nothing_to_store() -> None:
    plain, keeping = (ResidualDenoiser(filters=4, blocks=1, keep=keep) for keep in (0.0, 3.0))
    assert count_parameters(plain) == count_parameters(keeping)
    assert plain.state_dict().keys() == keeping.state_dict().keys()


def test_momentum_reaches_every_normalisation() -> None:
    layers = normalisation_layers(ResidualDenoiser(filters=4, blocks=3, momentum=0.25))
    assert len(layers) == 7
    assert {(layer.momentum, layer.eps) for layer in layers} == {(0.25, 1e-3)}


def test_statistics_are_the_average_over_the_batches() -> None:
    torch.manual_seed(0)
    network = ResidualDenoiser(filters=4, blocks=1, channels=1).eval()
    batches = [torch.randn(2, 1, 16, 16) + offset for offset in (0.0, 3.0)]
    estimate_statistics(network, batches)
    layer = network.blocks[0].body[1]
    with torch.no_grad():
        features = [network.blocks[0].body[0](network.head(batch)) for batch in batches]
    expected = torch.stack([feature.mean(dim=(0, 2, 3)) for feature in features]).mean(dim=0)
    torch.testing.assert_close(layer.running_mean, expected)
    assert layer.momentum == 0.01 and not network.training
