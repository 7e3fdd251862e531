"""A reader study from images to Table 3, read in a real browser by keyboard and by mouse.

The reader of these tests knows what it sees (from the key) and ranks by a rule, so that the analysis has a truth.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nadenoise_core.readers.analyse import Analysis, analyse_study
from nadenoise_core.readers.build import BuiltStudy, build_study
from nadenoise_core.readers.cases import find_cases
from nadenoise_core.readers.formats import read_results

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ROOT = Path(__file__).parents[2]
GIVEN = {"reference": 1, "cnn": 1, "cs": 2, "nufft": 4}
RANKS = {"reference": 1, "cnn": 1, "cs": 3, "nufft": 4}  # in competition ranking
LETTERS = "ABCD"


@pytest.fixture
def open_page(browser) -> Iterator[Callable[..., Any]]:
    """Open a page in a browser that knows nothing yet; whatever its script does wrong fails the test."""
    wrong: list[str] = []
    contexts = []

    def open_(url: str, context: Any = None) -> Any:
        context = context or browser.new_context(viewport={"width": 1400, "height": 900})
        context.set_default_timeout(120_000)  # ms
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(url)
        page.get_by_label("Your name as a reader").wait_for()
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def built(reader_cases, tmp_path) -> BuiltStudy:
    return build_study(tmp_path / "study", find_cases([reader_cases(tmp_path / "cases")]), repeat=2, seed=4)


@dataclass
class Served:
    """`nadenoise study readers serve` in a process of its own."""

    process: subprocess.Popen[str]
    url: str

    def end(self) -> int:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=240)
        return self.process.returncode


@pytest.fixture
def serve(tmp_path) -> Iterator[Callable[..., Served]]:
    started: list[subprocess.Popen[str]] = []

    def start(port: int = 0) -> Served:
        words = ["study", "readers", "serve", str(tmp_path / "study"), "--port", str(port)]
        process = subprocess.Popen(
            [sys.executable, "-m", "nadenoise_core.cli.main", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "COLUMNS": "200"},
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        found = re.fullmatch(r"readers open (http://127\.0\.0\.1:\d+/)\n", process.stdout.readline())
        assert found
        return Served(process, found.group(1))

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def begin(page: Any, name: str) -> None:
    page.get_by_label("Your name as a reader").fill(name)
    page.keyboard.press("Enter")
    expect(page.locator("#reading")).to_be_visible()  # the answers so far have come from the server


def case_number(page: Any) -> int:
    return int(re.fullmatch(r"Case (\d+) of 6", page.locator("#title").inner_text()).group(1))


def wanted(built: BuiltStudy, number: int) -> list[int]:
    """The ranks of a case in the order of its images."""
    return [GIVEN[method] for method in built.key.showings[number - 1].images.values()]


def expect(locator: Any) -> Any:
    return playwright.expect(locator)


def has_truth(analysis: Analysis) -> None:
    for group in analysis.groups:
        assert group.cases == 2
        assert {entry.method: (entry.mean, entry.sd) for entry in group.methods} == {
            method: (rank, 0) for method, rank in RANKS.items()
        }
        assert [entry.first for entry in group.methods if entry.method in ("reference", "cnn")] == [2, 2]


def test_by_keyboard_through_the_server(built, open_page, serve, tmp_path):
    server = serve()
    page = open_page(server.url)
    begin(page, "Reader-1")
    expect(page.locator("#title")).to_have_text("Case 1 of 6")
    stored = tmp_path / "study" / "results" / "reader_reader-1.json"

    for number in (1, 2, 3):
        assert case_number(page) == number
        for rank in wanted(built, number):  # each digit ranks the image chosen and goes to the next
            page.keyboard.press(str(rank))
        expect(page.locator("#told")).to_have_text("This case is complete.")
        expect(page.locator("#saved")).to_have_text("saved")
        assert len(read_results(stored).answers) == number
        page.keyboard.press("Enter")
    page.context.close()

    page = open_page(server.url)  # another browser: what it knows comes from the server
    begin(page, "reader-1")
    expect(page.locator("#title")).to_have_text("Case 4 of 6")
    page.keyboard.press("Backspace")
    expect(page.locator("#title")).to_have_text("Case 3 of 6")
    for letter, rank in zip(LETTERS, wanted(built, 3), strict=True):
        expect(page.get_by_role("button", name=f"rank {rank} for image {letter}")).to_have_attribute(
            "aria-pressed", "true"
        )
    page.keyboard.press("Enter")
    for number in (4, 5, 6):
        expect(page.locator("#title")).to_have_text(f"Case {number} of 6")
        ranks = wanted(built, number)
        for place in (2, 0, 3, 1):  # by its letter, in any order
            page.keyboard.press(LETTERS[place].lower())
            page.keyboard.press(str(ranks[place]))
        page.keyboard.press("Enter")
    expect(page.locator("#ended")).to_have_text("All cases are complete. Thank you.")
    expect(page.locator("#fate")).to_have_text("The server has all answers; nothing else is to be done.")
    for words in ("nufft", "reference", "cnn", "Volunteer", "30avg"):
        assert words.lower() not in re.sub(r'"png":"[^"]*"|base64,[^"]*', "", page.content()).lower()

    assert server.end() == 0
    analysis = analyse_study(built.key_file, [stored])
    has_truth(analysis)
    assert analysis.within["reader-1"].kappa == analysis.within["reader-1"].same == 1
    assert analysis.within["reader-1"].images == 8


def test_by_mouse_from_a_file(built, open_page, tmp_path):
    asked: list[str] = []
    page = open_page(built.page.resolve().as_uri())
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_label("Your name as a reader").fill("two words")
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("alert")).to_have_text("A name is 1 to 40 letters, digits, - or _.")
    page.get_by_label("Your name as a reader").fill("mouse")
    page.get_by_role("button", name="Begin").click()

    def click(number: int, *places: int) -> None:
        for place in places:
            page.get_by_role("button", name=f"rank {wanted(built, number)[place]} for image {LETTERS[place]}").click()

    click(1, 0, 2)
    expect(page.locator("#told")).to_have_text("Not ranked yet: B, D.")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#title")).to_have_text("Case 1 of 6")
    expect(page.get_by_role("group", name="image B, not ranked")).to_have_class(re.compile("wanting"))
    expect(page.get_by_role("group", name="image B, not ranked")).to_be_focused()
    click(1, 1, 3)
    page.keyboard.press("Enter")  # on the button that was clicked: it goes on, and the rank stays
    expect(page.locator("#title")).to_have_text("Case 2 of 6")
    expect(page.get_by_role("button", name="case 1, complete")).to_be_visible()

    page.get_by_role("button", name="case 6, not complete").click()
    click(6, 0, 1, 2, 3)
    click(6, 3)  # again: takes the rank back
    expect(page.locator("#told")).to_have_text("Not ranked yet: D.")
    click(6, 3)
    page.get_by_role("button", name="Finish").click()
    expect(page.locator("#ended")).to_have_text("Not complete yet")
    expect(page.locator("#missing")).to_have_text("Still to be ranked: cases 2, 3, 4, 5.")
    expect(page.get_by_role("button", name="Download the results")).to_be_disabled()
    page.get_by_role("button", name="Go to case 2").click()
    click(2, 3, 2, 1, 0)

    page = open_page(built.page.resolve().as_uri(), page.context)  # the page anew, in the same browser
    page.on("request", lambda request: asked.append(request.url))
    begin(page, "mouse")
    expect(page.locator("#saved")).to_have_text("saved in this browser")
    for number in (3, 4, 5):
        expect(page.locator("#title")).to_have_text(f"Case {number} of 6")
        click(number, 0, 1, 2, 3)
        page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Finish").click()
    expect(page.locator("#ended")).to_have_text("All cases are complete. Thank you.")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download the results").click()
    assert downloading.value.suggested_filename == "mouse.json"
    downloading.value.save_as(tmp_path / "mouse.json")
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == []

    has_truth(analyse_study(built.key_file, [tmp_path / "mouse.json"]))  # the page's checksum is the analysis's


def test_ranks_are_cleared_and_changed_by_keyboard(built, open_page):
    page = open_page(built.page.resolve().as_uri())
    begin(page, "keys")
    for key in ("1", "2", "3", "4", "ArrowRight", "2", "ArrowLeft", "Delete"):
        page.keyboard.press(key)
    # The fourth was ranked last and stays chosen; to the right of it is the first. Of a whole case, none is next.
    expect(page.get_by_role("group", name="image A, rank 2")).to_be_visible()
    expect(page.get_by_role("group", name="image D, not ranked")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#told")).to_have_text("Not ranked yet: D.")
    for key in ("5", "0", "x"):
        page.keyboard.press(key)
    expect(page.get_by_role("group", name="image D, not ranked")).to_be_visible()


def test_the_view_is_one_for_all_images(built, open_page):
    page = open_page(built.page.resolve().as_uri())
    begin(page, "view")
    page.get_by_label("Zoom").fill("2")
    page.get_by_label("Brightness").fill("1.5")
    style = "images => images.map(i => [getComputedStyle(i).transform, getComputedStyle(i).filter].join())"
    seen = page.locator("#images img").evaluate_all(style)
    assert seen == ["matrix(2, 0, 0, 2, 0, 0),brightness(1.5) contrast(1)"] * 4
    page.get_by_role("button", name="Reset view").click()
    assert page.locator("#images img").evaluate_all(style)[0].startswith("matrix(1, 0, 0, 1, 0, 0),brightness(1)")


def test_answers_outlive_a_server_that_stops(built, open_page, serve, tmp_path):
    server = serve()
    page = open_page(server.url)
    begin(page, "patient")
    page.keyboard.press("1")
    expect(page.locator("#saved")).to_have_text("saved")
    assert server.end() == 0
    page.keyboard.press("2")
    expect(page.locator("#saved")).to_contain_text("NOT SAVED on the server")
    page.keyboard.press("3")
    expect(page.get_by_role("group", name="image C, rank 3")).to_be_visible()
    serve(int(server.url.rstrip("/").rpartition(":")[2]))
    expect(page.locator("#saved")).to_have_text("saved")
    (answer,) = read_results(tmp_path / "study" / "results" / "reader_patient.json").answers.values()
    assert sorted(answer.ranks.values()) == [1, 2, 3]
