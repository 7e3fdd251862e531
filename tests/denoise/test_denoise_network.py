"""Running a network: what goes in comes out on its own scale, or is refused."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.denoise.bundle import Bundle
from nadenoise_core.denoise.network import Denoiser
from nadenoise_core.errors import BundleError

pytest.importorskip("torch")

MATRIX = (16, 12)


def image(scale: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((*MATRIX, 2)).view(complex)[..., 0] + (5 - 2j)
    return (scale * values).astype(np.complex64)


def bundle(build, body: str = "return x", channels: str = "complex", normalisation: str = "noise") -> Bundle:
    return Bundle(build(body, input={"channels": channels, "normalisation": normalisation}))


@pytest.mark.parametrize("normalisation", ["noise", "range"])
@pytest.mark.parametrize("channels", ["complex", "magnitude"])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e7])
def test_an_identity_network_gives_the_image_back(build, channels: str, normalisation: str, scale: float) -> None:
    given = image(scale)
    got = Denoiser(bundle(build, channels=channels, normalisation=normalisation))(given, 0.7 * scale)
    expected = given if channels == "complex" else np.abs(given)
    assert got.dtype == expected.dtype
    assert got.shape == MATRIX
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=2e-6 * scale)


@pytest.mark.parametrize("normalisation", ["noise", "range"])
def test_the_scale_of_an_image_does_not_matter(build, normalisation: str) -> None:
    denoise = Denoiser(bundle(build, "return torch.tanh(x) * 0.5 + 0.1", normalisation=normalisation))
    usual, scaled = denoise(image(), 0.7), denoise(image(1e5), 0.7e5)
    assert np.abs(usual - image()).max() > 0.1  # it does something
    np.testing.assert_allclose(scaled, 1e5 * usual, rtol=1e-5, atol=1)


def test_noise_normalisation_divides_by_the_noise(build) -> None:
    """The network sees multiples of the noise: adding 1 adds one standard deviation to each part."""
    got = Denoiser(bundle(build, "return x + 1"))(image(), 0.25)
    np.testing.assert_allclose(got, image() + 0.25 + 0.25j, atol=1e-5)


@pytest.mark.parametrize("channels", ["complex", "magnitude"])
def test_range_normalisation_spans_0_to_1(build, channels: str) -> None:
    given = image()
    values = np.stack([given.real, given.imag]) if channels == "complex" else np.abs(given)
    low, high = values.min(), values.max()
    for body, level in (("return x * 0 + x.min()", low), ("return x * 0 + x.max()", high), ("return x * 0", low)):
        got = Denoiser(bundle(build, body, channels, "range"))(given, float("nan"))  # noise is not needed
        np.testing.assert_allclose(got.real, level, rtol=1e-5)
    got = Denoiser(bundle(build, "return x * 0 + 1", channels, "range"))(given, 1.0)
    np.testing.assert_allclose(got.real, high, rtol=1e-5)


def test_real_and_imaginary_part_are_the_channels(build) -> None:
    got = Denoiser(bundle(build, "return torch.flip(x, [1])"))(image(), 1.0)
    np.testing.assert_allclose(got, image().imag + 1j * image().real, rtol=1e-6)


@pytest.mark.parametrize("noise_std", [float("nan"), 0.0, float("inf"), -1.0])
def test_a_network_that_needs_the_noise_refuses_without(build, noise_std: float) -> None:
    with pytest.raises(BundleError, match="noise level of the image is (0|unknown)"):
        Denoiser(bundle(build))(image(), noise_std)


def test_a_uniform_image_has_no_range(build) -> None:
    with pytest.raises(BundleError, match="uniform"):
        Denoiser(bundle(build, channels="magnitude", normalisation="range"))(np.ones(MATRIX, np.complex64), 1.0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return x[:, :1]", r"maps shape \(1, 2, 16, 12\) to \(1, 1, 16, 12\)"),
        ("return x[:, :, ::2]", r"to \(1, 2, 8, 12\)"),
        ("return (x, x)", "gives a tuple, not one tensor"),
        ("assert 1 > 2\n    return x", "does not run"),
    ],
)
def test_a_network_that_does_not_run_is_refused_when_it_is_loaded(build, body: str, words: str) -> None:
    with pytest.raises(BundleError, match=words) as caught:
        Denoiser(bundle(build, body))
    assert "\n" not in str(caught.value)
    assert "tiny.pt" in str(caught.value)


@pytest.mark.parametrize("body", ["return x * float('nan')", "return x / (x * 0)"])
def test_values_that_are_not_finite_are_refused(build, body: str) -> None:
    with pytest.raises(BundleError, match="not finite"):
        Denoiser(bundle(build, body))(image(), 1.0)


@pytest.mark.parametrize(
    ("marks", "words"), [((), "TorchScript"), (("archive_format", "archive_version"), r"a network of torch\.export")]
)
def test_a_zip_that_is_no_network(tmp_path, marks: tuple[str, ...], words: str) -> None:
    import json
    import zipfile

    metadata = {
        "format": 1, "name": "fake", "version": "1", "description": "", "matrix": MATRIX, "averages": [1, 9],
        "input": {"channels": "complex", "normalisation": "noise"},
    }  # fmt: skip
    with zipfile.ZipFile(tmp_path / "fake.pt", "w") as archive:
        archive.writestr("fake/extra/metadata.json", json.dumps(metadata))
        for name in marks:
            archive.writestr(f"fake/{name}", "pt2")
    with pytest.raises(BundleError, match=rf"fake\.pt: cannot be loaded as {words}") as caught:
        Denoiser(Bundle(tmp_path / "fake.pt"))
    assert "\n" not in str(caught.value)


def save_exported(path, network, matrix: tuple[int, int] = MATRIX, **changes: object) -> Bundle:
    """A bundle by torch.export for images of this matrix alone."""
    import json

    import torch

    metadata = {
        "format": 1, "name": "tiny", "version": "1", "description": "", "matrix": MATRIX, "averages": [1, 9],
        "input": {"channels": "complex", "normalisation": "noise"}, **changes,
    }  # fmt: skip
    free = torch.export.Dim.DYNAMIC
    program = torch.export.export(network, (torch.zeros(2, 2, *matrix),), dynamic_shapes=({0: free},))
    torch.export.save(program, str(path), extra_files={"metadata.json": json.dumps(metadata)})
    return Bundle(path)


def halving():
    import torch

    class Halving(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / 2

    return Halving().eval()


def test_a_network_by_torch_export_runs_like_any(tmp_path) -> None:
    got = Denoiser(save_exported(tmp_path / "tiny.pt2", halving()))(image(), 0.7)
    np.testing.assert_allclose(got, image() / 2, rtol=1e-6)
    assert got.dtype == np.complex64


def test_a_network_by_torch_export_of_another_matrix_is_refused(tmp_path) -> None:
    with pytest.raises(BundleError, match=r"tiny\.pt2: the network does not run \(Guard failed") as caught:
        Denoiser(save_exported(tmp_path / "tiny.pt2", halving(), (8, 12)))
    assert "\n" not in str(caught.value)


def test_a_damaged_network_by_torch_export_is_refused(tmp_path) -> None:
    """The metadata can be read, the graph cannot."""
    import zipfile

    whole = save_exported(tmp_path / "tiny.pt2", halving()).path
    spoiled = tmp_path / "spoiled.pt2"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(spoiled, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"{}" if name.endswith("models/model.json") else source.read(name))
    with pytest.raises(BundleError, match=r"spoiled\.pt2: cannot be loaded as a network of torch\.export"):
        Denoiser(Bundle(spoiled))


def test_a_file_that_is_replaced_is_loaded_anew(build) -> None:
    first = Denoiser(bundle(build, "return x"))
    second = Denoiser(bundle(build, "return 2 * x"))
    np.testing.assert_allclose(second(image(), 1.0), 2 * first(image(), 1.0), rtol=1e-6)


class Trap:
    """Unpickled, it leaves a file."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("how", ["sample inputs", "a weight", "a constant", "an object"])
def test_nothing_of_an_archive_of_torch_export_is_unpickled(how, tmp_path) -> None:
    import json
    import pickle
    import zipfile

    import torch

    whole, changed, sprung = tmp_path / "whole.pt2", tmp_path / "tiny.pt2", tmp_path / "sprung"
    save_exported(whole, torch.nn.Conv2d(2, 2, 1).eval())
    trap = pickle.dumps(Trap(sprung))
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(changed, "w") as spoiled:
        for name in archive.namelist():
            content = archive.read(name)
            if how == "sample inputs" and name.endswith("sample_inputs/model.pt"):
                content = trap
            if how == "a weight" and name.endswith("weights_config.json"):
                config = json.loads(content)
                for payload in config["config"].values():
                    payload["use_pickle"] = True
                content = json.dumps(config).encode()
            if how == "a weight" and name.rpartition("/")[2].startswith("weight_"):
                content = trap
            spoiled.writestr(name, content)
        if how == "a constant":
            spoiled.writestr("archive/data/constants/model.pt", trap)
        if how == "an object":
            spoiled.writestr("archive/data/constants/custom_obj_0", trap)
    with pytest.raises(BundleError, match=r"tiny\.pt2: cannot be loaded"):
        Denoiser(Bundle(changed))
    assert not sprung.exists()


def test_a_network_sees_the_surroundings_of_an_image(build) -> None:
    """Moved by two columns, an image shows what lay beside it."""
    moved = Bundle(
        build("return torch.roll(x, 2, 3)", input={"channels": "complex", "normalisation": "noise", "context": 3})
    )
    denoise = Denoiser(moved)
    rng = np.random.default_rng(4)
    wide = rng.standard_normal((MATRIX[0] + 10, MATRIX[1] + 10, 2)).astype(np.float32).view(np.complex64)[..., 0]
    proper = wide[5:-5, 5:-5]
    np.testing.assert_allclose(denoise(wide, 1.0, surroundings=5), wide[5:-5, 3:-7], atol=1e-6)
    np.testing.assert_allclose(denoise(proper, 1.0)[:, 2:], proper[:, :-2], atol=1e-6)
    np.testing.assert_allclose(denoise(proper, 1.0)[:, :2], proper[:, 2:0:-1], atol=1e-6)  # mirrored
