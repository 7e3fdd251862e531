"""Networks in a process of their own: the same images, the same errors, and an end with the process that asks."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="networks work in the process itself")

SCRIPT = """
import os, signal, sys
from pathlib import Path

import numpy as np

from nadenoise_core.denoise.apart import denoiser_of, networks_apart
from nadenoise_core.denoise.bundle import Bundle
from nadenoise_core.errors import BundleError, NadenoiseError

doubling, broken = (Bundle(Path(path)) for path in sys.argv[1:])
image = np.random.default_rng(1).standard_normal((2, 16, 24), np.float32).view(np.complex64)


def told(work):
    try:
        work()
    except NadenoiseError as error:
        print(type(error).__name__, error.exit_status, error)


with networks_apart():
    apart, beside = denoiser_of(doubling, "cpu"), denoiser_of(doubling, "cpu")
    told(lambda: apart(image[0], 0.0))
    there = apart(image[0], 0.5), *beside.batch(image, [0.5, 1.0])
    assert "torch" not in sys.modules
    refused = denoiser_of(broken, "cpu")
    told(lambda: refused(image[0], 0.5))
    os.kill(apart._process._answers._child, signal.SIGKILL)
    told(lambda: apart(image[0], 0.5))
with networks_apart():
    abandoned = denoiser_of(doubling, "cpu")._process._answers._child
assert not os.path.exists(f"/proc/{abandoned}")
here = denoiser_of(doubling, "cpu")
for mine, other in zip((here(image[0], 0.5), *here.batch(image, [0.5, 1.0])), there, strict=True):
    assert mine.dtype == other.dtype and mine.tobytes() == other.tobytes()
told(lambda: denoiser_of(broken, "cpu"))
with networks_apart():
    assert type(denoiser_of(doubling, "cpu")) is type(here), "torch is here already"
"""


def test_a_network_apart_answers_and_refuses_as_one_here(build) -> None:
    doubling = build("return 2 * x + x.roll(1, 2)", name="doubling.pt", matrix=[16, 12])
    broken = build("return x[:, :1]", name="broken.pt", matrix=[16, 12])
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(doubling), str(broken)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    unknown, there, killed, here = ended.stdout.splitlines()
    assert unknown.startswith("BundleError 2 the noise level of the image is 0")
    assert killed.startswith("HelperFailed 1 the process that runs the networks has failed") and "SIGKILL" in killed
    # One that cannot be loaded is no reason to go on without it, as it is not here.
    assert there.removeprefix("BadInputError 2 ") == here.removeprefix("BundleError 2 ")
    assert str(broken) in here


def test_it_ends_with_the_process_that_asks() -> None:
    code = (
        "import os, signal\n"
        "from nadenoise_core.denoise.apart import NetworkProcess\n"
        "process = NetworkProcess()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    # Both have the other end of the pipe, which is at its end when both are.
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as killed:
        killed.communicate(timeout=300)
    assert killed.returncode < 0
