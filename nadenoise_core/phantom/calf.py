"""What a virtual calf is: nested tissues and reference tubes, all of them ellipses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom.shapes import Ellipse

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
    """A reference tube: concentration in mmol/L, centre (x, y) and diameter in mm."""

    concentration: float
    centre: tuple[float, float]
    diameter: float

    @property
    def outline(self) -> Ellipse:
        """The outline, filled with the tube's concentration."""
        return Ellipse(self.centre, (self.diameter / 2, self.diameter / 2), 0.0, self.concentration)


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
    """

    seed: int
    side: str
    field_of_view: float
    muscle: float
    skin: float
    tissues: tuple[Tissue, ...]
    tubes: tuple[Tube, ...]

    @property
    def ellipses(self) -> tuple[Ellipse, ...]:
        """Ellipses whose values add up to the concentration: a tissue as its difference from its parent."""
        concentration = {None: 0.0} | {tissue.name: tissue.concentration for tissue in self.tissues}
        leg = (
            dataclasses.replace(tissue.outline, value=tissue.concentration - concentration[tissue.parent])
            for tissue in self.tissues
        )
        return (*leg, *(tube.outline for tube in self.tubes))

    def tissue(self, name: str) -> Tissue:
        """The tissue of that name.

        Raises:
            BadInputError: there is none.
        """
        for tissue in self.tissues:
            if tissue.name == name:
                return tissue
        raise BadInputError(f"the calf has no tissue {name!r}; it has {', '.join(t.name for t in self.tissues)}")

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
            calf = cls(**{**data, "tissues": tissues, "tubes": tubes})
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
