"""Build a reader study: one anonymous page for the readers, and the key for the organiser."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from math import isfinite
from pathlib import Path

import numpy as np

from nadenoise_core import __version__
from nadenoise_core.errors import BadInputError, OutputError
from nadenoise_core.files import write_whole
from nadenoise_core.progress import ProgressCallback
from nadenoise_core.readers.cases import Case
from nadenoise_core.readers.formats import (
    Key,
    KeyCase,
    KeyShowing,
    PageStudy,
    Showing,
    ShownImage,
    page_with,
)
from nadenoise_core.readers.images import Picture, draw_png, read_picture, window_of

PAGE = Path("reader") / "study.html"
KEY = Path("organiser") / "key.json"

Window = tuple[float, float]  # (low, high), black and white

_APART = 5  # showings between a case and its repeat, where there are enough
_SHUFFLES = 500


@dataclass(frozen=True)
class BuiltStudy:
    """What was built.

    Attributes:
        page: what the readers get.
        key_file: what the organiser keeps.
        key: its content.
    """

    page: Path
    key_file: Path
    key: Key


def build_study(
    out: Path,
    cases: Sequence[Case],
    *,
    reference: str = "reference",
    repeat: int = 0,
    seed: int | None = None,
    window: Window | None = None,
    progress: ProgressCallback | None = None,
) -> BuiltStudy:
    """Draw the images, shuffle cases and images, and write `reader/study.html` and `organiser/key.json`.

    All images of a case are shown on one window: the 1st to the 99.5th percentile of its reference. Pixels are shown
    square. The same seed and images give the same page; the page does not hold the seed.

    Args:
        out: folder of the study.
        cases: of `find_cases`.
        reference: the method whose image gives the window.
        repeat: cases that are shown twice, drawn at random, to measure the agreement of a reader with itself.
        seed: of all random orders; None draws one, which the key holds.
        window: (low, high) for all cases, in the units of the images; None: of each reference.
        progress: called with (cases drawn, cases in all).

    Raises:
        BadInputError: an image cannot be used, or the options do not fit the cases.
        OutputError: the folder holds a study already, or cannot be written.
    """
    if standing := [path for path in (out / PAGE, out / KEY, out / "results") if path.exists()]:
        raise OutputError(f"{standing[0]}: exists already; build the study into another folder")
    methods = tuple(cases[0].files)
    reference = reference.strip().lower()
    _check_options(methods, reference, len(cases), repeat, window)
    seed = secrets.randbits(32) if seed is None else seed
    random = np.random.default_rng(seed)
    order = _order(len(cases), repeat, random)
    drawn: list[dict[str, bytes]] = []
    keyed_cases = []
    for number, case in enumerate(cases, 1):
        used, images = _draw(case, reference, window)
        keyed_cases.append(KeyCase(case=case.name, averages=case.averages, window=used))
        drawn.append(images)
        if progress is not None:
            progress(number, len(cases))
    shown, keyed = _showings([case.name for case in cases], methods, drawn, order, random)
    name = hashlib.sha256("".join(showing.model_dump_json() for showing in shown).encode()).hexdigest()[:12]
    key = Key(
        study=name,
        seed=seed,
        version=__version__,
        reference=reference,
        methods=methods,
        cases=tuple(keyed_cases),
        showings=keyed,
    )
    template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    page = page_with(template, PageStudy(study=name, showings=shown))
    write_whole(out / KEY, key.to_json())  # first: a page without its key is worth nothing
    write_whole(out / PAGE, page)
    return BuiltStudy(out / PAGE, out / KEY, key)


def _check_options(methods: Sequence[str], reference: str, cases: int, repeat: int, window: Window | None) -> None:
    if reference not in methods:
        raise BadInputError(f"--reference is {reference!r}; the methods of the cases are {', '.join(methods)}")
    if not 0 <= repeat <= cases:
        raise BadInputError(f"--repeat is {repeat}; there are {cases} cases")
    if window and not (isfinite(window[0]) and isfinite(window[1]) and window[0] < window[1]):
        raise BadInputError(f"--window is {window[0]:g},{window[1]:g}; give the black value, then a greater white one")


def _showings(
    names: Sequence[str],
    methods: Sequence[str],
    drawn: Sequence[Mapping[str, bytes]],
    order: Sequence[int],
    random: np.random.Generator,
) -> tuple[tuple[Showing, ...], tuple[KeyShowing, ...]]:
    """What the page shows, and what the key says of it: images in random order under random names.

    Args:
        names: of the cases.
        methods: of each case.
        drawn: images of each case by method, as PNG.
        order: of the cases; one that comes again is a repeat.
        random: source of all chance.
    """
    shown, keyed = [], []
    for position, index in enumerate(order):
        identifiers = [random.bytes(6).hex() for _ in range(len(methods) + 1)]
        shuffled = [str(method) for method in random.permutation(sorted(methods))]
        placed = dict(zip(identifiers[1:], shuffled, strict=True))
        pngs = {image: base64.b64encode(drawn[index][method]).decode() for image, method in placed.items()}
        shown.append(Showing(id=identifiers[0], images=tuple(ShownImage(id=i, png=png) for i, png in pngs.items())))
        keyed.append(KeyShowing(id=identifiers[0], case=names[index], repeat=index in order[:position], images=placed))
    return tuple(shown), tuple(keyed)


def _draw(case: Case, reference: str, window: Window | None) -> tuple[Window, dict[str, bytes]]:
    """The window of a case, and its images as PNG."""
    pictures = {method: read_picture(file) for method, file in case.files.items()}
    for method, picture in pictures.items():
        _check_alike(pictures[reference], picture, case.files[method], case.files[reference])
    used = window or window_of(pictures[reference].pixels, str(case.files[reference]))
    return used, {
        method: draw_png(picture.pixels, used, str(case.files[method])) for method, picture in pictures.items()
    }


def _check_alike(reference: Picture, picture: Picture, file: Path, reference_file: Path) -> None:
    """A case whose images lie differently would tell its methods by their looks."""
    sizes = ["x".join(map(str, one.pixels.shape[::-1])) for one in (picture, reference)]
    if sizes[0] != sizes[1]:
        raise BadInputError(f"{file}: is {sizes[0]}, {reference_file.name} is {sizes[1]}; give images of one matrix")
    if picture.kind == reference.kind and not np.array_equal(picture.geometry, reference.geometry):
        raise BadInputError(
            f"{file}: lies otherwise in space than {reference_file.name} (orientation, position or pixel size); "
            "give all images of a case in one geometry"
        )


def _order(cases: int, repeat: int, random: np.random.Generator) -> list[int]:
    """A random order of all cases and their repeats, in which no repeat follows its case closely."""
    repeated = random.choice(cases, repeat, replace=False)
    every = np.concatenate([np.arange(cases), repeated])
    best, best_distance = random.permutation(every), -1
    for _ in range(_SHUFFLES if repeat else 1):
        order = random.permutation(every)
        last: dict[int, int] = {}
        distance = _APART
        for position, case in enumerate(order.tolist()):
            distance = min(distance, position - last.get(case, position - _APART))
            last[case] = position
        if distance > best_distance:
            best, best_distance = order, distance
        if distance >= _APART:
            break
    return [int(case) for case in best]
