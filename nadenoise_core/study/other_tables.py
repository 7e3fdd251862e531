"""Tables of the paper that come from elsewhere: Table 1 from the network's metadata, Table 3 from the reader study."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from nadenoise_core import paper
from nadenoise_core.denoise.bundle import Bundle
from nadenoise_core.errors import BadInputError
from nadenoise_core.statistics import significance_marks
from nadenoise_core.study.measures import ALL_METHODS
from nadenoise_core.study.tables import SIGNS

METRICS = {"mse": "MSE x1e-3", "ssim": "SSIM", "psnr": "PSNR dB"}
_SCALE = {"mse": 1e3, "ssim": 1.0, "psnr": 1.0}


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
    """

    bundle: str
    averages: int
    image: str
    ours: dict[str, paper.Published]
    published: dict[str, paper.Published]
    p: dict[str, float]


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
    """The test figures that networks carry in their metadata, at the averages that each is made for.

    A network without figures gives no rows.
    """
    rows: list[NetworkRow] = []
    for bundle in bundles:
        least, most = bundle.metadata.averages
        metrics = bundle.metadata.metrics.get("table_1", [])
        for said in metrics if isinstance(metrics, list) else []:
            with suppress(KeyError, TypeError, ValueError):  # metadata of another kind
                if least <= int(said["averages"]) <= most:
                    rows += _of_test_set(bundle.name, said)
    return tuple(sorted(rows, key=lambda row: (-row.averages, row.bundle)))


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
        rows.append(NetworkRow(bundle, averages, image, ours, theirs, p))
    return rows


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
        pairs = [(_known(test.first), _known(test.second), test.p_bonferroni) for test in group.t_tests]
        marks = significance_marks(ALL_METHODS, SIGNS, pairs)
        for rank in group.methods:
            method = _known(rank.method)
            rows.append(
                RankRow(group.averages or 0, method, rank.mean, rank.sd, marks.get(method, ""), published.get(method))
            )
    return Ranking(tuple(rows), len(found.readers))


def _known(method: str) -> str:
    """The paper's name of a method."""
    return {name.lower(): name for name in ALL_METHODS}.get(method.lower(), method)
