"""The same chain in one process, over several nodes, and started by Gadgetron's own command: the same images."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from nadenoise_core.errors import ChainError, RawDataError
from nadenoise_core.mrd.image import known_facts, pixels_of, wide_pixels_of

pytestmark = [
    # gadgetron-python's own reader of headers, and that of images of ismrmrd 1.14.
    pytest.mark.filterwarnings("ignore:A builtin ctypes object gave a PEP3118:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:This function currently returns a result that is inconsistent:UserWarning"),
]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def scan(measured):
    return measured(averages=3, noise=10.0)


@pytest.fixture
def stages(smoothing_chain):
    return [("accumulate", {"emit_at": "2, 3"}), *smoothing_chain[1:]]


def exact(images) -> list[bytes]:
    """Header, words and pixels of images, as bytes."""
    assert all(isinstance(image, ismrmrd.Image) for image in images)
    return [image.to_bytes() for image in images]


@pytest.mark.parametrize("cuts", [(), (1,), (2,), (3,), (1, 2, 3, 4)], ids=lambda cuts: f"cut at {cuts}")
def test_nodes_give_the_same_as_one_process(cuts, scan, stages, run_chain, through_node, node_xml):
    measurement, items = scan
    header = measurement.header_xml()
    fused = run_chain(stages, header, items)
    assert [known_facts(image).kind.value for image in fused] == 2 * ["plain", "denoised", "atsc"]
    staged = items
    for start, end in zip((0, *cuts), (*cuts, None), strict=True):
        staged = through_node(node_xml(stages[start:end]), header, staged)
    assert exact(staged) == exact(fused)


def test_nodes_hand_the_surroundings_on(scan, run_chain, through_node, node_xml, bundle_file) -> None:
    measurement, items = scan
    wider = ("reconstruct", {"surroundings": "12"})
    header = measurement.header_xml()
    path, sha256 = bundle_file(
        "return x.roll(20, 3)", input={"channels": "complex", "normalisation": "noise", "context": 12}
    )
    network = ("denoise", {"bundle": str(path), "bundle_sha256": sha256, "device": "cpu"})
    fused = run_chain(["accumulate", wider, network], header, items)
    between = through_node(node_xml(["accumulate", wider]), header, items)
    staged = through_node(node_xml([network]), header, between)
    assert exact(staged) == exact(fused)
    wide = wide_pixels_of(between[0])[0]
    np.testing.assert_allclose(pixels_of(staged[1])[:, 8:20], wide[12:-12, :12], atol=1e-4)
    assert "mirrored" not in str(known_facts(staged[1]).history)
    mirrored = run_chain(["accumulate", "reconstruct", network], header, items)[1]
    assert "mirrored=12" in str(known_facts(mirrored).history)


def test_noise_scans_pass_between_nodes(measured, run_chain, through_node, node_xml):
    measurement, items = measured(coils=4)
    header = measurement.header_xml()
    stages = ["prewhiten", "accumulate", "reconstruct"]
    whitened = through_node(node_xml(stages[:1]), header, items)
    assert len(whitened) == len(items) - 1
    images = through_node(node_xml(stages[1:]), header, whitened)
    assert exact(images) == exact(run_chain(stages, header, items))


def test_what_no_stage_handles_passes(measured, through_node, node_xml):
    measurement, items = measured()
    noise, *_ = measured(coils=4)[1]
    waveform = ismrmrd.Waveform.from_array(np.arange(8, dtype=np.uint32).reshape(2, 4))
    received = through_node(node_xml(["accumulate"]), measurement.header_xml(), [noise, waveform, *items])
    assert [type(item).__name__ for item in received] == ["Acquisition", "Waveform", "ReconData"]
    assert (received[0].data == noise.data).all() and (received[1].data == waveform.data).all()


def test_gadgetrons_command_starts_a_node(scan, stages, run_chain, peer, node_xml):
    measurement, items = scan
    header = measurement.header_xml()
    with socket.create_server(("localhost", 0)) as server:
        server.settimeout(240)
        node = subprocess.Popen(
            [sys.executable, "-m", "gadgetron", str(server.getsockname()[1]), "gadgets", "chain"],
            cwd=ROOT, env={**os.environ, "GADGETRON_EXTERNAL_LOG_LEVEL": "ERROR"}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            connection, _ = server.accept()
            with connection:
                images = peer(connection).talk(node_xml(stages), header, items)
            output, log = node.communicate(timeout=240)
        finally:
            node.kill()
            node.wait()
    assert node.returncode == 0, log
    assert output == ""  # stdout may be the data channel
    assert exact(images) == exact(run_chain(stages, header, items))


@pytest.mark.parametrize(
    ("node", "error", "words"),
    [
        (["acumulate"], ChainError, "did you mean 'accumulate'"),
        ([("accumulate", {"emit_ad": "1"})], ChainError, "did you mean 'emit_at'"),
        ('<?xml version="1.0"?>\n', ChainError, "not well-formed"),
        (["accumulate"], RawDataError, "interleaf 0 of 20"),
    ],
)
def test_a_node_that_fails_says_why(node, error, words, measured, through_node, node_xml):
    measurement, items = measured()
    configuration = node if isinstance(node, str) else node_xml(node)
    with pytest.raises(error, match=words):
        through_node(configuration, measurement.header_xml(), [a for a in items if a.idx.kspace_encode_step_1])
