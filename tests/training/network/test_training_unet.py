from __future__ import annotations

import pytest
import torch

from training.errors import ConfigError
from training.network.unet import UNet

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


def random_network() -> UNet:
    torch.manual_seed(0)
    network = UNet((4, 6, 8), (1, 1, 1))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


def test_it_starts_as_the_identity_at_any_size() -> None:
    network = UNet((4, 6, 8), (1, 2, 1))
    for rows, columns in ((16, 16), (33, 20), (18, 27)):
        image = torch.randn(2, 2, rows, columns)
        assert torch.equal(network(image), image)


def test_it_sees_far_and_scripts() -> None:
    network = random_network()
    image = torch.randn(1, 2, 48, 48)
    scripted = torch.jit.script(network)  # type: ignore[no-untyped-call]
    assert torch.allclose(scripted(image), network(image), atol=1e-5)
    moved = image.clone()
    moved[..., 24, 24] += 1
    changed = (network(moved) - network(image)).abs().amax(dim=(0, 1)) > 1e-7
    rows = torch.nonzero(changed.any(dim=1))
    assert int(rows.max() - rows.min()) > 24


def test_in_use_an_image_and_its_negative_turned_by_half_a_turn_give_the_same() -> None:
    network = random_network()
    image = torch.randn(2, 2, 24, 32)
    turned = -torch.rot90(image, 2, (2, 3))
    made = network.eval()(image)
    assert torch.allclose(network(turned), -torch.rot90(made, 2, (2, 3)), atol=1e-5)
    assert torch.allclose(
        made, (network.denoise(image) - torch.rot90(network.denoise(turned), 2, (2, 3))) / 2, atol=1e-5
    )
    assert torch.equal(network.train()(image), network.denoise(image))


def test_it_has_no_keep() -> None:
    UNet((4, 6), (1, 1)).set_keep(0)
    with pytest.raises(ConfigError, match="no keep"):
        UNet((4, 6), (1, 1)).set_keep(6)
