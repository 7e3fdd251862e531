"""Serve the page of a reader study, and keep every answer as it is given: one JSON file a reader."""

from __future__ import annotations

import logging
import re
import threading
from datetime import datetime, timezone
from http import HTTPStatus
from pathlib import Path

from nadenoise_core.errors import BadInputError
from nadenoise_core.files import write_whole
from nadenoise_core.readers.files import parse_json, read_file
from nadenoise_core.readers.formats import (
    READER_NAME,
    PageStudy,
    Results,
    check_ranks,
    parsed,
    read_results,
    study_of,
)
from nadenoise_core.readers.formats import Answer as RankAnswer
from nadenoise_core.web import Answer, LocalServer, Page, Refused, as_json

LARGEST_BODY = 16 * 1024  # bytes; an answer of nine images has fewer than 300

_RESULTS = re.compile(f"/api/results/({READER_NAME.pattern})")
_log = logging.getLogger("nadenoise.readers")


class AnswerStore:
    """The results of all readers of one study, in a folder; safe for several threads."""

    def __init__(self, study: PageStudy, folder: Path) -> None:
        self._study = study.study
        self._images = {showing.id: tuple(image.id for image in showing.images) for showing in study.showings}
        self._folder = folder
        self._lock = threading.Lock()

    @property
    def study(self) -> str:
        """Identifier of the study."""
        return self._study

    def path(self, reader: str) -> Path:
        """The file of a reader; the prefix keeps names apart that a file system reserves."""
        return self._folder / f"reader_{reader}.json"

    def load(self, reader: str) -> Results:
        """What the reader has answered so far.

        Raises:
            BadInputError: the file is damaged, or of another study or reader.
        """
        path = self.path(reader)
        if not path.exists():
            return Results(study=self._study, reader=reader).sealed()
        try:
            results = read_results(path)
        except BadInputError as error:
            _log.error("%s", error)
            raise BadInputError(f"the answers of {reader} on the server are damaged; ask the organiser") from None
        if (results.study, results.reader) != (self._study, reader):
            raise BadInputError(f"the answers of {reader} on the server are of another study; ask the organiser")
        return results

    def save(self, reader: str, showing: str, ranks: dict[str, int]) -> Results:
        """Put the answer to one showing in place of the one before.

        Raises:
            BadInputError: no such showing, or ranks that do not fit it.
            OutputError: it could not be written.
        """
        if showing not in self._images:
            raise BadInputError("no such case in this study; load the page anew")
        check_ranks(ranks, self._images[showing], "the answer")
        with self._lock:
            results = self.load(reader)
            answer = RankAnswer(ranks=ranks, saved=datetime.now(timezone.utc).isoformat(timespec="seconds"))
            results = results.model_copy(update={"answers": {**results.answers, showing: answer}}).sealed()
            write_whole(self.path(reader), results.to_json())
        return results


class ReaderServer(LocalServer):
    """The server of one study; `serve_forever` runs it."""

    def __init__(self, page: bytes, store: AnswerStore, host: str, port: int) -> None:
        self.page, self.store = page, store
        super().__init__(host, port, _Handler)


def open_server(page: Path, results: Path, host: str, port: int) -> ReaderServer:
    """Read the page and listen; port 0 takes a free one.

    Raises:
        BadInputError: no page of a study, or the address cannot be listened on.
    """
    content = read_file(page)
    study = study_of(content, str(page))
    return ReaderServer(content, AnswerStore(study, results), host, port)


class _Handler(Page):
    """GET the page, the study's identifier and a reader's answers; POST one answer."""

    server: ReaderServer

    def get(self) -> Answer:
        if self.path in ("/", "/study.html"):
            return "text/html; charset=utf-8", self.server.page
        if self.path == "/api/study":
            return as_json({"study": self.server.store.study})
        results = self.server.store.load(self._reader())
        return "application/json", results.to_json()

    def post(self) -> Answer:
        reader = self._reader()
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "an answer is application/json")
        try:
            sent = parse_json(self.body(LARGEST_BODY), "the answer")
            if not isinstance(sent, dict) or set(sent) != {"showing", "ranks"} or not isinstance(sent["showing"], str):
                raise BadInputError("an answer has a showing and ranks, and nothing else")
            answer = parsed(RankAnswer, {"ranks": sent["ranks"]}, "the answer", "answer")
        except BadInputError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from None
        results = self.server.store.save(reader, sent["showing"], answer.ranks)
        return as_json({"answers": len(results.answers)})

    def _reader(self) -> str:
        found = _RESULTS.fullmatch(self.path)
        if found is None:
            raise Refused(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        return found.group(1)
