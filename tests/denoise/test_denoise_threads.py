"""Networks on the threads of a server: a scan leaves the process as it was."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from nadenoise_core.denoise import network
from nadenoise_core.denoise.bundle import find_bundle
from nadenoise_core.denoise.network import Denoiser


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def seen_by_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def test_a_network_runs_on_one_core_and_others_keep_theirs(two_threads, monkeypatch):
    denoiser = Denoiser(find_bundle("noise_aware"))
    inside: list[int] = []
    all_inside, checked = threading.Barrier(4), threading.Event()

    def slow(batch):
        inside.append(torch.get_num_threads())
        all_inside.wait(120)
        checked.wait(120)
        return batch

    monkeypatch.setattr(denoiser, "_network", slow)
    image = np.ones(denoiser.bundle.metadata.matrix, np.complex64)
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(denoiser, image, 1.0) for _ in range(3)]
        all_inside.wait(120)
        meanwhile = torch.get_num_threads(), seen_by_a_new_thread()
        checked.set()
        for run in runs:
            run.result()
        after = [pool.submit(torch.get_num_threads).result() for _ in range(6)]
    assert inside == [1, 1, 1] and meanwhile == (2, 2)
    assert after == [2] * 6 and torch.get_num_threads() == seen_by_a_new_thread() == 2


def test_loading_on_threads_leaves_the_warnings_of_the_process():
    bundles = [find_bundle(name) for name in ("noise_aware", "paper_10")]
    network.load_network(bundles[0])  # which silences one warning of torch's, for good
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: network.load_network(bundles[number % 2]), range(8)))
    assert warnings.filters == before


def test_the_networks_used_last_are_kept_and_no_more(monkeypatch):
    monkeypatch.setattr(network, "_loaded", type(network._loaded)())
    monkeypatch.setattr(network, "load_network", lambda bundle, device: object())
    bundle = find_bundle("noise_aware")
    first = network._load(bundle, "cuda:0")
    for number in range(1, 3 * network._KEPT):
        network._load(bundle, f"cuda:{number}")
        assert network._load(bundle, "cuda:0") is first
    assert len(network._loaded) == network._KEPT
