"""What a virtual calf is: nested tissues and reference tubes, all of them ellipses."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom.shapes import Ellipse
from nadenoise_core.phantom.slices import SliceProfile

TUBE_CONCENTRATIONS = (10.0, 25.0, 50.0, 75.0, 100.0)
"""Reference tubes of the paper, mmol/L."""

KINDS = ("skin", "fat", "muscle", "bone", "vessel")
"""What a tissue can be."""


@dataclass(frozen=True)
class Tissue:
    """A part of the leg: everything inside an ellipse that is not inside one of its children.

    Attributes:
        name: unique in a calf, such as "tibia marrow".
        kind: one of KINDS.
        parent: name of the tissue that encloses this one; None: it lies in air.
        concentration: sodium, mmol/L.
        centre, semi_axes, angle: the outline, as in `Ellipse`.
    """

    name: str
    kind: str
    parent: str | None
    concentration: float
    centre: tuple[float, float]
    semi_axes: tuple[float, float]
    angle: float

    @property
    def outline(self) -> Ellipse:
        """The outline, filled with the tissue's concentration."""
        return Ellipse(self.centre, self.semi_axes, self.angle, self.concentration)


@dataclass(frozen=True)
class Tube:
    """What fills a reference tube: a cylinder; its wall gives no signal, and neither does the air around it.

    Attributes:
        concentration: mmol/L.
        centre: (x, y) in the middle of the slice, mm.
        diameter: of the filling, mm.
        lean: (x, y) by which the centre moves over each mm of depth; (0, 0): upright.
    """

    concentration: float
    centre: tuple[float, float]
    diameter: float
    lean: tuple[float, float] = (0.0, 0.0)

    @property
    def outline(self) -> Ellipse:
        """Its cross-section with the middle of the slice, filled with the tube's concentration.

        A cylinder that leans by an angle is cut in an ellipse, longer by 1 / cos(angle) along its lean.
        """
        radius, tangent = self.diameter / 2, math.hypot(*self.lean)
        angle = math.atan2(self.lean[1], self.lean[0]) if tangent else 0.0
        return Ellipse(self.centre, (radius * math.hypot(1, tangent), radius), angle, self.concentration)


@dataclass(frozen=True)
class Calf:
    """An individual: one cross-section of a leg with its reference tubes.

    Attributes:
        seed: what `random_calf` was given.
        side: "left" or "right" leg; seen from the feet, anterior at the top.
        field_of_view: mm, square.
        muscle: mean concentration of all muscle, weighted by area, mmol/L.
        skin: concentration of the skin, mmol/L.
        tissues: parents before their children.
        tubes: by increasing concentration.
        profile: of the slice; it matters to tubes that lean.
    """

    seed: int
    side: str
    field_of_view: float
    muscle: float
    skin: float
    tissues: tuple[Tissue, ...]
    tubes: tuple[Tube, ...]
    profile: SliceProfile = SliceProfile()

    @property
    def ellipses(self) -> tuple[Ellipse, ...]:
        """Ellipses whose values add up to the concentration in the middle of the slice.

        A tissue is there as its difference from its parent.
        """
        concentration = {None: 0.0} | {tissue.name: tissue.concentration for tissue in self.tissues}
        leg = (
            dataclasses.replace(tissue.outline, value=tissue.concentration - concentration[tissue.parent])
            for tissue in self.tissues
        )
        return (*leg, *(tube.outline for tube in self.tubes))

    @property
    def leaning(self) -> tuple[tuple[Ellipse, tuple[float, float]], ...]:
        """The same ellipses, each with its lean."""
        upright = len(self.tissues) * [(0.0, 0.0)]
        return tuple(zip(self.ellipses, (*upright, *(tube.lean for tube in self.tubes)), strict=True))

    def tissue(self, name: str) -> Tissue:
        """The tissue of that name.

        Raises:
            BadInputError: there is none.
        """
        for tissue in self.tissues:
            if tissue.name == name:
                return tissue
        raise BadInputError(f"the calf has no tissue {name!r}; it has {', '.join(t.name for t in self.tissues)}")

    def at(self, depth: float) -> Calf:
        """The same leg cut further along the normal of the slice, mm: tubes that lean have moved on."""
        moved = (
            dataclasses.replace(
                tube, centre=(tube.centre[0] + depth * tube.lean[0], tube.centre[1] + depth * tube.lean[1])
            )
            for tube in self.tubes
        )
        return dataclasses.replace(self, tubes=tuple(moved))

    def without_tubes(self) -> Calf:
        """The same leg alone."""
        return dataclasses.replace(self, tubes=())

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calf:
        """The calf that `to_dict` described, exactly.

        Raises:
            BadInputError: a field is missing or unknown, an outline is no ellipse, or a parent is not a tissue
                before its child.
        """
        try:
            tissues = tuple(Tissue(**_with_tuples(tissue)) for tissue in data["tissues"])
            tubes = tuple(Tube(**_with_tuples(tube)) for tube in data["tubes"])
            profile = SliceProfile(**data.get("profile", {}))
            calf = cls(**{**data, "tissues": tissues, "tubes": tubes, "profile": profile})
            _check_nesting(calf.tissues)
            _ = calf.ellipses  # refuses outlines that are no ellipses
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadInputError(f"this does not describe a calf: {type(error).__name__}: {error}") from error
        return calf


def _with_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where the dataclasses have tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def _check_nesting(tissues: tuple[Tissue, ...]) -> None:
    known: set[str | None] = {None}
    for tissue in tissues:
        if tissue.kind not in KINDS:
            raise ValueError(f"tissue {tissue.name!r} is of kind {tissue.kind!r}, not one of {', '.join(KINDS)}")
        if tissue.parent not in known:
            raise ValueError(f"tissue {tissue.name!r} comes before its parent {tissue.parent!r}")
        if tissue.name in known:
            raise ValueError(f"tissue {tissue.name!r} occurs twice")
        known.add(tissue.name)
