"""Tables of the paper that come from elsewhere: Table 1 from the network's metadata, Table 3 from the reader study."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from nadenoise_core.denoise.bundle import Bundle
from nadenoise_core.errors import BadInputError
from nadenoise_core.statistics import ALPHA
from nadenoise_core.study import paper

METRICS = {"mse": "MSE x1e-3", "ssim": "SSIM", "psnr": "PSNR dB"}
_SCALE = {"mse": 1e3, "ssim": 1.0, "psnr": 1.0}
_BETTER_IF_LOWER = {"mse"}
_SIGNS = {"reference": "*", "NUFFT": "#", "CS": "+"}


@dataclass(frozen=True)
class NetworkRow:
    """A row of Table 1.

    Attributes:
        bundle: the network whose test set it is.
        averages: of the image.
        image: "input" or "denoised".
        ours: median and interquartile range by metric.
        published: the paper's, likewise; empty where it has none.
        p: Wilcoxon test against the input, by metric, where the metadata tell it.
        worse: metrics whose median is worse than the paper's, of denoised images.
    """

    bundle: str
    averages: int
    image: str
    ours: dict[str, paper.Published]
    published: dict[str, paper.Published]
    p: dict[str, float]
    worse: tuple[str, ...]


@dataclass(frozen=True)
class RankRow:
    """A row of Table 3: mean and SD of the rank, with the marks of significant differences."""

    averages: int
    method: str
    mean: float
    sd: float | None
    marks: str
    published: paper.Published | None


def table_1(bundles: Iterable[Bundle]) -> tuple[NetworkRow, ...]:
    """The test figures that networks carry in their metadata; a network without gives no rows."""
    rows: list[NetworkRow] = []
    for bundle in bundles:
        metrics = bundle.metadata.metrics.get("table_1", [])
        for said in metrics if isinstance(metrics, list) else []:
            try:
                rows += _of_test_set(bundle.name, said)
            except (KeyError, TypeError, ValueError):
                continue  # metadata of another kind
    return tuple(sorted(rows, key=lambda row: (row.bundle, -row.averages)))


def _of_test_set(bundle: str, said: dict[str, Any]) -> list[NetworkRow]:
    averages = int(said["averages"])
    published = paper.TABLE_1.get(averages)
    rows = []
    for index, (image, key) in enumerate((("input", "noisy"), ("denoised", "denoised"))):
        ours = {
            name: paper.Published(scale * said[key][name]["median"], scale * said[key][name]["iqr"])
            for name, scale in _SCALE.items()
        }
        theirs = dict(zip(METRICS, published[index], strict=True)) if published else {}
        tests = said.get("tests") or {}
        p = {name: float(tests[name]["p"]) for name in METRICS if name in tests} if image == "denoised" else {}
        worse = tuple(name for name in theirs if image == "denoised" and _is_worse(name, ours[name], theirs[name]))
        rows.append(NetworkRow(bundle, averages, image, ours, theirs, p, worse))
    return rows


def _is_worse(metric: str, ours: paper.Published, theirs: paper.Published) -> bool:
    rounding = {"mse": 0.05, "ssim": 0.005, "psnr": 0.05}[metric]
    change = ours.middle - theirs.middle
    return (change if metric in _BETTER_IF_LOWER else -change) > rounding


class _Rank(BaseModel):
    model_config = ConfigDict(extra="ignore")

    method: str
    mean: float
    sd: float | None


class _PairTest(BaseModel):
    model_config = ConfigDict(extra="ignore")

    first: str
    second: str
    p_bonferroni: float | None


class _Group(BaseModel):
    model_config = ConfigDict(extra="ignore")

    averages: int | None
    methods: list[_Rank]
    t_tests: list[_PairTest] = []


class _Analysis(BaseModel):
    model_config = ConfigDict(extra="ignore")

    groups: list[_Group]
    readers: list[str] = []


@dataclass(frozen=True)
class Ranking:
    """Table 3: its rows, and how many readers ranked."""

    rows: tuple[RankRow, ...]
    readers: int


def table_3(path: Path) -> Ranking:
    """The result of a reader study, `readers.json` of `nadenoise study readers analyse`.

    Raises:
        BadInputError: no such file, or not such a result.
    """
    try:
        found = _Analysis.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, ValidationError):
        raise BadInputError(
            f"{path}: is no result of a reader study; give readers.json of `nadenoise study readers analyse`"
        ) from None
    rows = []
    for group in found.groups:
        published = paper.TABLE_3.get(group.averages or 0, {})
        marks = _marks(group)
        for rank in group.methods:
            theirs = published.get(_known(rank.method))
            rows.append(
                RankRow(group.averages or 0, _known(rank.method), rank.mean, rank.sd, marks[rank.method], theirs)
            )
    return Ranking(tuple(rows), len(found.readers))


def _marks(group: _Group) -> dict[str, str]:
    marks = {rank.method: "" for rank in group.methods}
    for test in group.t_tests:
        if test.p_bonferroni is None or test.p_bonferroni >= ALPHA or not {test.first, test.second} <= set(marks):
            continue
        # Each pair is marked at the later of the two, in the order of the tables.
        earlier, later = sorted((test.first, test.second), key=_place)
        marks[later] += _SIGNS.get(_known(earlier), "")
    return marks


def _place(method: str) -> int:
    order = [*_SIGNS, "CNN"]
    return order.index(_known(method)) if _known(method) in order else len(order)


def _known(method: str) -> str:
    """The paper's name of a method."""
    names = {"reference": "reference", "nufft": "NUFFT", "cs": "CS", "cnn": "CNN"}
    return names.get(method.lower(), method)
