"""The server of a reader study, over real sockets: it keeps what readers answer, and refuses everything else."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nadenoise_core.errors import BadInputError
from nadenoise_core.readers.analyse import analyse_study
from nadenoise_core.readers.build import build_study
from nadenoise_core.readers.cases import find_cases
from nadenoise_core.readers.formats import PageStudy, Showing, ShownImage, read_results
from nadenoise_core.readers.server import LARGEST_BODY, AnswerStore, ReaderServer, open_server


@pytest.fixture(scope="module")
def built(reader_cases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("readers")
    return build_study(folder / "study", find_cases([reader_cases(folder / "cases")]), seed=1)


class Client:
    """A browser without a page: speaks to one server."""

    def __init__(self, server: ReaderServer, results: Path) -> None:
        self.server, self.results = server, results
        self.port = server.server_address[1]

    def ask(self, method: str, path: str, body: object = None, **headers: str | None) -> tuple[int, bytes, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"Host": f"127.0.0.1:{self.port}"}
        if method == "POST":
            sent |= {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if content is not None:
            sent = {"Content-Length": str(len(content)), **sent}
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(content)
        reply = connection.getresponse()
        found = reply.status, reply.read(), {name.lower(): value for name, value in reply.getheaders()}
        connection.close()
        return found

    def raw(self, sent: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as link:
            link.sendall(sent)
            link.shutdown(socket.SHUT_WR)
            received = b""
            while part := link.recv(65536):
                received += part
        return received

    def files(self) -> list[str]:
        return sorted(path.name for path in self.results.rglob("*")) if self.results.exists() else []


@pytest.fixture
def client(built, tmp_path):
    with open_server(built.page, tmp_path / "results", "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield Client(server, tmp_path / "results")
        server.shutdown()
        thread.join(30)


@pytest.fixture
def answers(built):
    """An answer to every showing: the images in the order shown, ranks 1 1 3 4."""
    return [
        {"showing": showing.id, "ranks": dict(zip(showing.images, (1, 1, 3, 4), strict=True))}
        for showing in built.key.showings
    ]


class TestKeeps:
    def test_the_page(self, client, built):
        status, content, headers = client.ask("GET", "/")
        assert status == 200 and content == built.page.read_bytes()
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
        assert "python" not in headers["server"].lower()

    def test_the_study(self, client, built):
        assert json.loads(client.ask("GET", "/api/study")[1]) == {"study": built.key.study}

    def test_every_answer_at_once_and_the_last_one_counts(self, client, answers):
        assert json.loads(client.ask("GET", "/api/results/r-1")[1])["answers"] == {}
        assert client.files() == []
        first = {**answers[0], "ranks": dict(list(answers[0]["ranks"].items())[:2])}
        for sent in (first, answers[1], answers[0]):
            assert client.ask("POST", "/api/results/r-1", sent)[0] == 200
            stored = read_results(client.results / "reader_r-1.json")
            assert stored.answers[sent["showing"]].ranks == sent["ranks"]
        held = json.loads(client.ask("GET", "/api/results/r-1")[1])["answers"]
        assert {showing: answer["ranks"] for showing, answer in held.items()} == {
            answer["showing"]: answer["ranks"] for answer in answers[:2]
        }
        assert client.files() == ["reader_r-1.json"]

    def test_readers_apart(self, client, answers):
        for reader in ("one", "other"):
            assert client.ask("POST", f"/api/results/{reader}", answers[0])[0] == 200
        assert client.files() == ["reader_one.json", "reader_other.json"]

    def test_answers_that_come_together(self, client, answers):
        replies = []
        threads = [
            threading.Thread(target=lambda sent=sent: replies.append(client.ask("POST", "/api/results/r", sent)[0]))
            for sent in answers * 8
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert replies == [200] * 8 * len(answers)
        assert len(read_results(client.results / "reader_r.json").answers) == len(answers)
        assert client.files() == ["reader_r.json"]

    def test_none_of_many_answers_is_lost(self, tmp_path):
        showings = tuple(
            Showing(id=f"{n:012x}", images=(ShownImage(id=f"{n:011x}a", png=""), ShownImage(id=f"{n:011x}b", png="")))
            for n in range(64)
        )
        store = AnswerStore(PageStudy(study="0" * 12, showings=showings), tmp_path)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda showing: store.save("r", showing.id, {showing.images[0].id: 1}), showings))
        assert set(read_results(tmp_path / "reader_r.json").answers) == {showing.id for showing in showings}

    def test_what_the_analysis_takes(self, client, answers, built):
        for sent in answers:
            assert client.ask("POST", "/api/results/r", sent)[0] == 200
        analysis = analyse_study(built.key_file, [client.results / "reader_r.json"])
        assert sum(entry.readings for group in analysis.groups for entry in group.methods) == 4 * len(answers)

    def test_several_requests_of_one_connection(self, client, answers):
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=30)
        for sent in answers:
            connection.request("POST", "/api/results/r", json.dumps(sent), {
                "Origin": f"http://127.0.0.1:{client.port}", "Content-Type": "application/json"
            })  # fmt: skip
            assert json.loads(connection.getresponse().read())["answers"] > 0
        connection.close()


class TestRefuses:
    def refused(self, client, status, *request, **headers):
        found, content, _ = client.ask(*request, **headers)
        assert found == status, content
        assert client.files() == []
        return content.decode()

    @pytest.mark.parametrize(
        "path",
        [
            "/../organiser/key.json", "/organiser/key.json", "//etc/passwd", "/api/results/../../organiser/key",
            "/api/results/..%2f..%2fkey", "/api/results/%2e%2e", "/api/results/", "/api/results/a/b", "/api/results/A",
            "/api/results/a.json", "/api/results/a%00", "/api/results/" + "a" * 41, "/api/results/-a", "/key.json",
            "/?x", "/api/results/a?x=1", "http://other/", "/api/results/é",
        ],
    )  # fmt: skip
    def test_paths_that_are_none(self, path, client, answers):
        path = path.encode().decode("latin-1")
        for method, body in (("GET", b""), ("POST", json.dumps(answers[0]).encode())):
            sent = (
                f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nOrigin: http://127.0.0.1:{client.port}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode("latin-1") + body
            received = client.raw(sent)
            assert received.startswith(b"HTTP/1.1 404"), received
            assert b"methods" not in received
        assert client.files() == []

    @pytest.mark.parametrize(
        "origin",
        [None, "null", "http://evil.example", "https://127.0.0.1:PORT", "http://127.0.0.1", "http://127.0.0.1:1"],
    )
    def test_answers_from_other_sites(self, origin, client, answers):
        origin = origin and origin.replace("PORT", str(client.port))
        said = self.refused(client, 403, "POST", "/api/results/r", answers[0], Origin=origin)
        assert "from the page of this server only" in said

    @pytest.mark.parametrize(
        "host", ["evil.example:PORT", "evil.example", "127.0.0.1:1", "", "127.0.0.1.evil.example:PORT"]
    )
    def test_names_that_are_not_its_own(self, host, client, answers):
        host = host.replace("PORT", str(client.port))
        for request in (("GET", "/"), ("GET", "/api/results/r"), ("POST", "/api/results/r", answers[0])):
            self.refused(client, 403, *request, Host=host, Origin=f"http://{host}")

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "192.168.1.5"])
    def test_no_name_of_its_own(self, host, client, answers):
        host = f"{host}:{client.port}"
        assert client.ask("POST", "/api/results/r", answers[0], Host=host, Origin=f"http://{host}")[0] == 200

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
    def test_what_a_form_of_another_site_could_send(self, kind, client, answers):
        self.refused(client, 415, "POST", "/api/results/r", answers[0], Content_Type=kind)

    def test_a_body_that_is_too_long(self, client):
        self.refused(client, 413, "POST", "/api/results/r", b"{}", Content_Length=str(LARGEST_BODY + 1))
        self.refused(client, 413, "POST", "/api/results/r", b"{}", Content_Length="9" * 400)

    @pytest.mark.parametrize("length", [None, "-1", "ten", "1e3", "\u00b2"])
    def test_a_body_without_a_length(self, length, client):
        self.refused(client, 411, "POST", "/api/results/r", b"{}", Content_Length=length)

    def test_a_body_in_chunks(self, client):
        self.refused(client, 411, "POST", "/api/results/r", b"2\r\n{}\r\n0\r\n\r\n", Transfer_Encoding="chunked")

    def test_a_body_that_is_cut_off(self, client, answers):
        body = json.dumps(answers[0]).encode()
        head = (
            f"POST /api/results/r HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nOrigin: http://127.0.0.1:{client.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        assert b"the request was cut off" in client.raw(head + body[:-5])
        assert client.files() == []

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"[]", b"null", b"\xff", b"[" * 10000, b'{"showing": 1, "ranks": {}}', b'{"ranks": {}}',
         b'{"showing": "0", "ranks": {}, "more": 1}', b'{"showing": "0", "ranks": []}', b'{"showing":"0","ranks":NaN}',
         b'{"showing": "0", "ranks": {"x": 1}}', b'{"showing": "0", "ranks": {}, "ranks": {}}'],
    )  # fmt: skip
    def test_a_body_that_is_no_answer(self, body, client):
        self.refused(client, 400, "POST", "/api/results/r", body)

    @pytest.mark.parametrize("rank", [0, -1, 1.0, "1", True, None, [1], 10, 1e999])
    def test_ranks_that_are_none(self, rank, client, answers):
        image = next(iter(answers[0]["ranks"]))
        answers[0]["ranks"][image] = rank
        self.refused(client, 400, "POST", "/api/results/r", answers[0])

    def test_ranks_of_what_is_not_shown(self, client, answers):
        image = next(iter(answers[0]["ranks"]))
        answers[0]["ranks"][image] = 5
        assert "rank 5 is not within 1 to 4" in self.refused(client, 409, "POST", "/api/results/r", answers[0])
        other = {"showing": answers[0]["showing"], "ranks": answers[1]["ranks"]}
        assert "does not show" in self.refused(client, 409, "POST", "/api/results/r", other)
        none = {"showing": "0" * 12, "ranks": {}}
        assert "no such case in this study" in self.refused(client, 409, "POST", "/api/results/r", none)

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
    def test_other_methods(self, method, client):
        self.refused(client, 501, method, "/api/results/r")

    def test_noise_and_goes_on(self, client):
        for noise in (
            b"",
            b"\x00" * 1000,
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"A" * 70000,
            b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 500,
        ):
            client.raw(noise)
        assert client.ask("GET", "/")[0] == 200


class TestResultsOnDisc:
    def test_that_are_damaged_are_left_as_they_are(self, client, answers):
        path = client.results / "reader_r.json"
        path.parent.mkdir()
        path.write_text("{")
        for request in (("GET", "/api/results/r"), ("POST", "/api/results/r", answers[0])):
            status, content, _ = client.ask(*request)
            assert status == 409 and "damaged; ask the organiser" in content.decode()
            assert str(client.results) not in content.decode()
        assert path.read_text() == "{"

    def test_that_are_of_another_study(self, client, answers):
        assert client.ask("POST", "/api/results/r", answers[0])[0] == 200
        path = client.results / "reader_r.json"
        other = read_results(path).model_copy(update={"study": "0" * 12}).sealed()
        path.write_bytes(other.to_json())
        assert client.ask("POST", "/api/results/r", answers[0])[0] == 409
        assert path.read_bytes() == other.to_json()

    def test_that_cannot_be_written(self, client, answers):
        client.results.write_text("a file where the folder should be")
        status, content, _ = client.ask("POST", "/api/results/r", answers[0])
        assert status == 500 and json.loads(content) == {"error": "the server cannot write the answer; ask who runs it"}


def test_a_file_that_is_no_page_is_not_served(built, tmp_path):
    for path in (built.key_file, tmp_path / "none.html"):
        with pytest.raises(BadInputError):
            open_server(path, tmp_path, "127.0.0.1", 0)


def test_an_address_in_use_is_named(client, built, tmp_path):
    with pytest.raises(BadInputError, match=f"cannot listen on 127.0.0.1 port {client.port}"):
        open_server(built.page, tmp_path, "127.0.0.1", client.port)
