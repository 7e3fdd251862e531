"""The base of the local pages, over real sockets."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import contextmanager

import pytest

from nadenoise_core import web
from nadenoise_core.errors import BadInputError, OutputError
from nadenoise_core.web import LocalServer, Page, as_json


class Echo(Page):
    def get(self) -> web.Answer:
        if self.path == "/broken":
            raise OutputError("cannot write /somewhere/secret")
        return as_json({"path": self.path})

    def post(self) -> web.Answer:
        return "text/plain", self.body(8)


@contextmanager
def running(server):
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(30)


@pytest.fixture
def server():
    with running(LocalServer("127.0.0.1", 0, Echo)) as made:
        yield made


def ask(server, method="GET", path="/", body=None, **headers):
    port = server.server_address[1]
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    link.request(method, path, body, {"Host": f"localhost:{port}", **headers})
    answer = link.getresponse()
    found = answer.status, answer.read(), answer.headers
    link.close()
    return found


def test_every_answer_is_guarded(server):
    for path in ("/", "/broken"):
        _, _, headers = ask(server, path=path)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_a_name_of_the_outside_is_refused(server):
    port = server.server_address[1]
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "localhost",
        "localhost:1",
        "",
        "[::1",
        f"127.0.0.1.nip.io:{port}",
    ):
        assert ask(server, Host=host)[0] == 403
    for host in (f"127.0.0.1:{port}", f"[::1]:{port}", f"LOCALHOST:{port}"):
        assert ask(server, Host=host)[0] == 200


def test_a_post_comes_from_the_own_page(server):
    own = {"Origin": f"http://localhost:{server.server_address[1]}"}
    assert ask(server, "POST", body=b"12345678", **own)[:2] == (200, b"12345678")
    assert ask(server, "POST", body=b"123456789", **own)[0] == 413
    assert ask(server, "POST", body=b"1")[0] == ask(server, "POST", body=b"1", Origin="http://evil.example")[0] == 403


def test_folders_stay_secret(server):
    status, content, _ = ask(server, path="/broken")
    assert status == 500 and b"secret" not in content


def test_threads_are_bounded_and_silent_peers_do_not_keep_them(monkeypatch):
    monkeypatch.setattr(web, "_THREADS", 3)
    monkeypatch.setattr(web, "_WAIT", 60.0)
    monkeypatch.setattr(Echo, "timeout", 0.5)
    lock, threads, most = threading.Lock(), set(), 0
    handle = Echo.handle

    def counted(page):
        nonlocal most
        with lock:
            threads.add(threading.get_ident())
            most = max(most, len(threads))
        try:
            handle(page)
        finally:
            with lock:
                threads.remove(threading.get_ident())

    monkeypatch.setattr(Echo, "handle", counted)
    with running(LocalServer("127.0.0.1", 0, Echo)) as server:
        silent = [socket.create_connection(server.server_address[:2]) for _ in range(6)]
        assert ask(server)[0] == 200
        for link in silent:
            link.close()
    assert most <= 3


def test_a_thread_that_cannot_be_started_costs_one_request(server, monkeypatch):
    start = threading.Thread.start

    def fail(thread):
        monkeypatch.setattr(threading.Thread, "start", start)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        ask(server)
    assert ask(server)[0] == 200


def test_a_taken_port_is_told(server):
    with pytest.raises(BadInputError, match=r"cannot listen on 127.0.0.1 port \d+ \(Address already in use\)"):
        LocalServer("127.0.0.1", server.server_address[1], Echo)
