"""What a status of a PACS means for a file, tried with a storage SCP that answers as it is told."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.acse import ACSE
from pynetdicom.sop_class import MRImageStorage

from nadenoise_core.dicom import to_dataset
from nadenoise_core.dicom.delivery import Delivery, Outcome, Round, Sender, State
from nadenoise_core.dicom.dicomweb import PASSWORD, TOKEN, USER, DicomWeb
from nadenoise_core.dicom.outbox import Outbox
from nadenoise_core.dicom.pacs import Pacs
from nadenoise_core.dicom.store_status import meaning_of
from nadenoise_core.errors import BadInputError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def outbox(make, geometry, full_study, tmp_path) -> Outbox:
    box = Outbox(tmp_path / "outbox")
    for number in range(1, 7):
        box.put(to_dataset(make("plain", instance_number=number), geometry, full_study))
    return box


@pytest.fixture
def scp() -> Iterator[Callable[..., Pacs]]:
    """A storage SCP whose answer to C-STORE is what a function of the event returns."""
    servers = []

    def serve(answer: Callable[[Any], Any]) -> Pacs:
        entity = AE("PACS")
        entity.add_supported_context(MRImageStorage)
        handlers = [(evt.EVT_C_STORE, answer)]
        servers.append(entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers))
        return Pacs("PACS", "127.0.0.1", servers[-1].server_address[1], timeout=20)

    yield serve
    for server in servers:
        server.shutdown()


def run(outbox: Outbox, pacs: Sender, rounds: int = 1) -> tuple[list[Outcome], Round]:
    outcomes: list[Outcome] = []
    delivery = Delivery(outbox, pacs, on_outcome=outcomes.append)
    for _ in range(rounds):
        done = delivery.once()
    return outcomes, done


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0xC123, 0x0122, 0x0124, 0xB123])
def test_an_object_that_is_refused_is_set_aside(status, outbox, scp) -> None:
    _, done = run(outbox, scp(lambda event: status))
    assert done == Round(sent=0, refused=6, waiting=0)
    reasons = [path.read_text() for path in (outbox.folder / "refused").glob("*.txt")]
    assert len(reasons) == 6 and all(f"0x{status:04X}" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0xB000, "not as it was sent"),
        (0xB006, "not as it was sent"),
        (0xB007, "not as it was sent"),
        (0x0111, "already"),
    ],
)
def test_an_object_that_is_stored_is_delivered_and_the_remark_kept(status, words, outbox, scp) -> None:
    outcomes: list[Outcome] = []
    done = Delivery(outbox, scp(lambda event: status), keep=True, on_outcome=outcomes.append).once()
    assert done == Round(sent=6, refused=0, waiting=0)
    assert all(f"0x{status:04X}" in outcome.reason and words in outcome.reason for outcome in outcomes)
    remarks = [path.read_text() for path in (outbox.folder / "sent").glob("*.txt")]
    assert len(remarks) == 6 and all(f"0x{status:04X}" in remark for remark in remarks)


@pytest.mark.parametrize("status", [0xA700, 0xA701, 0x0110, 0x0213])
def test_a_pacs_in_trouble_is_tried_again(status, outbox, scp) -> None:
    waiting = outbox.waiting()
    outcomes, done = run(outbox, scp(lambda event: status))
    assert (done.sent, done.refused, done.waiting) == (0, 0, 6) and f"0x{status:04X}" in done.trouble
    assert len(outcomes) == 3  # then it is left alone for a while
    assert outbox.waiting() == waiting


def test_the_words_of_a_pacs_lie_beside_the_file_and_nowhere_else(outbox, scp) -> None:
    def answer(event):
        status = Dataset()
        status.Status, status.ErrorComment = 0xC000, "Mueller^Joerg has left"
        return status

    outcomes, _ = run(outbox, scp(answer))
    assert not any("Mueller" in repr(outcome) for outcome in outcomes)
    assert all("Mueller^Joerg" in path.read_text() for path in (outbox.folder / "refused").glob("*.txt"))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"\3\0\0\0\0\4\0\1\1\7", "rejected (permanent): called ae title not recognised"),
        (b"\3\0\0\0\0\4\0\2\3\1", "rejected (transient): temporary congestion"),
    ],
)
def test_the_reason_of_a_rejection_arrives_however_late_it_is_looked_at(outbox, monkeypatch, reply, reason) -> None:
    send_request = ACSE.send_request

    def wake_late(acse: ACSE) -> None:
        """The association is at its end before the thread that asked for it looks."""
        send_request(acse)
        time.sleep(0.3)

    monkeypatch.setattr(ACSE, "send_request", wake_late)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reject() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(reply)
                while connection.recv(4096):  # until it is closed from there
                    pass

        thread = threading.Thread(target=reject, daemon=True)
        thread.start()
        _, done = run(outbox, Pacs("PACS", "127.0.0.1", server.getsockname()[1], timeout=5))
        thread.join(5)
    assert done.waiting == 6 and done.trouble is not None
    assert f"rejects the association of NADENOISE ({reason})" in done.trouble


@pytest.mark.parametrize("way", [Pacs, DicomWeb])
def test_a_peer_that_says_nothing_is_given_up(way, outbox) -> None:
    waiting = outbox.waiting()
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        port = silent.getsockname()[1]
        peer = (
            Pacs("PACS", "127.0.0.1", port, timeout=1)
            if way is Pacs
            else DicomWeb(f"http://127.0.0.1:{port}", timeout=1)
        )
        _, done = run(outbox, peer)
    assert (done.sent, done.refused, done.waiting) == (0, 0, 6) and done.trouble
    assert outbox.waiting() == waiting


def test_a_pacs_that_does_not_answer_is_given_up(outbox, scp) -> None:
    over = threading.Event()

    def answer(event):
        over.wait(120)
        return 0

    _, done = run(outbox, replace(scp(answer), timeout=2))
    over.set()
    assert (done.sent, done.refused, done.waiting) == (0, 0, 6) and "no answer in 2 s" in done.trouble


@pytest.mark.parametrize("position", [0, 3, 5])
def test_a_file_that_the_pacs_chokes_on_does_not_hold_up_the_others(position, outbox, scp) -> None:
    bad = outbox.waiting()[position]

    def answer(event):
        if event.request.AffectedSOPInstanceUID == bad.stem:
            event.assoc.abort()
        return 0

    outcomes, done = run(outbox, scp(answer))
    assert (done.sent, done.refused, done.waiting) == (5, 0, 1)
    assert outbox.waiting() == [bad]
    assert [outcome.state for outcome in outcomes].count(State.LATER) == 1


def test_many_files_that_the_pacs_chokes_on_come_last_the_next_time(outbox, scp) -> None:
    bad = {path.stem for path in outbox.waiting()[:4]}

    def answer(event):
        if event.request.AffectedSOPInstanceUID in bad:
            event.assoc.abort()
        return 0

    _, done = run(outbox, scp(answer), rounds=2)
    assert {path.stem for path in outbox.waiting()} == bad and done.sent == 2


def test_many_files_go_over_one_association_with_what_they_need_alone(outbox, scp) -> None:
    seen = []

    def answer(event):
        seen.append(
            (id(event.assoc), [context.abstract_syntax for context in event.assoc.requestor.requested_contexts])
        )
        return 0

    _, done = run(outbox, scp(answer))
    assert done.sent == 6 and len({association for association, _ in seen}) == 1
    assert seen[0][1] == [MRImageStorage, MRImageStorage]  # as they are, and in the syntax that all understand


def test_a_stop_is_heeded_after_every_file(outbox, scp) -> None:
    outcomes: list[Outcome] = []
    pacs = scp(lambda event: 0)
    Delivery(outbox, pacs, on_outcome=outcomes.append, stopped=lambda: len(outcomes) == 2).watch()
    assert len(outcomes) == 2 and len(outbox.waiting()) == 4


def test_what_counts_as_stored() -> None:
    stored = [status for status in range(0x10000) if meaning_of(status)[0] is State.SENT]
    assert stored == [0, 0x0111, 0xB000, 0xB006, 0xB007]  # PS3.4 B.2.3, and what is there already


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("PACS@pacs.example.org:104", "pacs.example.org", 104), ("A B@[::1]:11112", "::1", 11112)],
)
def test_an_address_of_a_pacs_is_read(address, host, port) -> None:
    pacs = Pacs.at(address, "US")
    assert (pacs.title, pacs.host, pacs.port, pacs.own_title) == (address.split("@")[0], host, port, "US")


def test_the_environment_lets_us_in_and_is_not_shown() -> None:
    server = DicomWeb.at("https://pacs/dicom-web/", environment={USER: "scanner", PASSWORD: "secret"})
    assert (server.user, server.password, server.url) == ("scanner", "secret", "https://pacs/dicom-web")
    assert "secret" not in repr(server) + str(server)
    with pytest.raises(BadInputError, match="not both"):
        DicomWeb.at("https://pacs", environment={USER: "scanner", PASSWORD: "secret", TOKEN: "token"})


def test_a_secret_over_a_network_without_encryption_is_warned_of(caplog) -> None:
    DicomWeb.at("http://pacs/dicom-web", environment={TOKEN: "secret"})
    assert "unencrypted" in caplog.text and "secret" not in caplog.text


WITHOUT = """
import importlib, pkgutil, sys
for name in ("pynetdicom", "dicomweb_client", "requests"):
    sys.modules[name] = None
import gadgets, nadenoise_core
for package in (nadenoise_core, gadgets):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        own = {"nadenoise_core.dicom." + name for name in ("pacs", "dicomweb", "store_status", "web_session")}
        if module.name not in own:
            importlib.import_module(module.name)
print("all without")
"""


def test_only_delivery_needs_its_libraries() -> None:
    run = subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.stdout == "all without\n", run.stderr
