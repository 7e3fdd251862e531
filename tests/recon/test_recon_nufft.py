"""The NUFFT against the sums that define it, on every device there is."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nadenoise_core.device import Device, choose_device, to_host
from nadenoise_core.errors import BadInputError
from nadenoise_core.recon.nufft import Nufft

ROWS, COLUMNS = 14, 11  # even and odd, not square


def rng() -> np.random.Generator:
    return np.random.default_rng(4)


@pytest.fixture(scope="module")
def k() -> np.ndarray:
    return rng().uniform(-0.5, 0.5, (3, 25, 2))


def noise(*shape: int) -> np.ndarray:
    source = np.random.default_rng(sum(shape))
    return source.standard_normal(shape) + 1j * source.standard_normal(shape)


def phases(k: np.ndarray) -> np.ndarray:
    """exp(-2 pi i k.r), (samples, rows, columns): r from pixel N // 2; columns of k are (read = x, phase = y)."""
    y, x = np.arange(ROWS) - 7, np.arange(COLUMNS) - 5
    kx, ky = k.reshape(-1, 2).T
    return np.exp(-2j * np.pi * (ky[:, None, None] * y[:, None] + kx[:, None, None] * x))


def relative(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


def test_forward_and_adjoint_are_the_slow_sums(k: np.ndarray) -> None:
    nufft = Nufft(k, (ROWS, COLUMNS))
    image, samples = noise(ROWS, COLUMNS), noise(75)
    forward, adjoint = nufft.forward(image), nufft.adjoint(samples)
    assert forward.dtype == adjoint.dtype == np.complex64
    assert relative(forward, np.einsum("syx,yx->s", phases(k), image)) < 2e-5
    assert relative(adjoint, np.einsum("syx,s->yx", phases(k).conj(), samples)) < 2e-5


def test_accuracy_is_a_choice(k: np.ndarray) -> None:
    samples = noise(75)
    exact = np.einsum("syx,s->yx", phases(k).conj(), samples)
    rough, fine = (relative(Nufft(k, (ROWS, COLUMNS), eps=eps).adjoint(samples), exact) for eps in (1e-2, 1e-6))
    assert fine < 2e-6 < 1e-4 < rough < 2e-2


def test_adjointness(k: np.ndarray) -> None:
    nufft = Nufft(k, (ROWS, COLUMNS))
    image, samples = noise(ROWS, COLUMNS), noise(75)
    left, right = np.vdot(samples, nufft.forward(image)), np.vdot(nufft.adjoint(samples), image)
    assert abs(left - right) < 1e-5 * np.linalg.norm(samples) * np.linalg.norm(nufft.forward(image))


def test_leading_axes(k: np.ndarray) -> None:
    nufft = Nufft(k, (ROWS, COLUMNS))
    images = noise(2, 3, ROWS, COLUMNS)
    samples = nufft.forward(images)
    assert samples.shape == (2, 3, 75)
    back = nufft.adjoint(samples)
    assert back.shape == images.shape
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(samples[index], nufft.forward(images[index]))
        np.testing.assert_array_equal(back[index], nufft.adjoint(samples[index]))
    assert nufft.forward(images[:, :0]).shape == (2, 0, 75)


@pytest.mark.parametrize("shape", [(COLUMNS, ROWS), (ROWS,), (ROWS, COLUMNS, 1), (2, ROWS, COLUMNS + 1)])
def test_a_wrong_shape_is_refused(k: np.ndarray, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(14, 11\)"):
        Nufft(k, (ROWS, COLUMNS)).forward(np.zeros(shape))


def test_a_wrong_number_of_samples_is_refused(k: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected \(75,\)"):
        Nufft(k, (ROWS, COLUMNS)).adjoint(np.zeros((3, 25)))


def test_strided_and_other_dtypes(k: np.ndarray) -> None:
    nufft = Nufft(k.astype(np.float32)[:, ::-1][:, ::-1], (ROWS, COLUMNS))
    image = noise(ROWS, 2 * COLUMNS)[:, ::2]
    assert relative(nufft.forward(image), np.einsum("syx,yx->s", phases(k), image)) < 2e-5
    assert relative(nufft.forward(image.real), np.einsum("syx,yx->s", phases(k), image.real)) < 2e-5


def test_one_plan_in_many_threads() -> None:
    k = rng().uniform(-0.5, 0.5, (5000, 2))
    nufft = Nufft(k, (64, 64))
    samples = noise(24, 5000)
    alone = [nufft.adjoint(s) for s in samples]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(nufft.adjoint, samples))
        back = list(pool.map(nufft.forward, alone))
    for image, other, again in zip(alone, together, back, strict=True):
        np.testing.assert_array_equal(image, other)
        np.testing.assert_array_equal(nufft.forward(image), again)


def test_device_names() -> None:
    assert choose_device("cpu") == Device(None)
    assert str(choose_device("cpu")) == "cpu"
    assert str(Device(1)) == "cuda:1"
    for name in ("gpu", "cuda:x", "cuda:-1", "", "cpu:0"):
        with pytest.raises(BadInputError, match="unknown device"):
            choose_device(name)


@pytest.mark.parametrize("package", ["cupy", "cufinufft"])
def test_a_gpu_without_its_packages_is_refused_with_the_reason(package: str, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setitem(sys.modules, "cufinufft", None)
    if package == "cufinufft":
        monkeypatch.setitem(sys.modules, "cupy", sys)  # stands for one that is there
    for name in ("cuda", "cuda:1"):
        with pytest.raises(BadInputError, match=f"'{name}' cannot be used: the package {package} is not installed"):
            choose_device(name)
    assert choose_device("auto") == Device(None)


def test_the_package_is_imported_without_gpu_packages() -> None:
    code = (
        "import sys; sys.modules['cupy'] = sys.modules['cufinufft'] = None\n"
        "import numpy as np, nadenoise_core.device, nadenoise_core.recon.reconstruction\n"
        "from nadenoise_core.recon.nufft import Nufft\n"
        "print(Nufft(np.zeros((1, 2)), (4, 4), device='auto').adjoint(np.ones(1)).sum().real)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(16, rel=1e-5)


@pytest.mark.gpu
def test_gpu_and_cpu_agree(k: np.ndarray) -> None:
    try:
        gpu = choose_device("cuda")
    except BadInputError as error:
        pytest.skip(str(error))
    on_cpu, on_gpu = (Nufft(k, (ROWS, COLUMNS), device) for device in ("cpu", gpu))
    images, samples = noise(2, ROWS, COLUMNS), noise(2, 75)
    assert relative(to_host(on_gpu.forward(images)), on_cpu.forward(images)) < 2e-5
    assert relative(to_host(on_gpu.adjoint(samples)), on_cpu.adjoint(samples)) < 2e-5
