"""The configuration of a study: whose scans, by which methods, in which regions, shown how; from one YAML file.

The classes below are the whole vocabulary: every key, its type, range, default and meaning.
"""

from __future__ import annotations

from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from nadenoise_core.configuration import Section, checked, find_shipped, read_document
from nadenoise_core.simulate.cohort import Cohort

Count = Annotated[int, Field(ge=1, le=65535)]
MedianAndRange = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]

_COHORT = Cohort()


class VirtualSubjects(Section):
    """Virtual volunteers; no data needed. A pair is the median and the interquartile range over the volunteers."""

    kind: Literal["virtual"]
    count: int = Field(10, ge=2, le=1000, description="Volunteers.")
    seed: int = Field(2301, ge=0, description="Of the first; the others have the next ones.")
    averages: int = Field(150, ge=2, le=65535, description="Averages of each scan.")
    muscle: MedianAndRange = Field(_COHORT.muscle, description="Concentration, mmol/L.")
    skin: MedianAndRange = Field(_COHORT.skin, description="Concentration, mmol/L.")
    skin_thickness: MedianAndRange = Field(_COHORT.skin_thickness, description="mm.")
    noise: MedianAndRange = Field(_COHORT.noise, description="Of the real part of the image of one average, mmol/L.")
    tube_tilt: MedianAndRange = Field(_COHORT.tube_tilt, description="Of tubes against the slice's normal, degrees.")
    off_resonance: MedianAndRange = Field(_COHORT.off_resonance, description="Amplitude of the field map, Hz.")
    relaxation: bool = Field(_COHORT.relaxation, description="Saturation and decay of tissues and of the gel in tubes.")

    def cohort(self) -> Cohort:
        """What the volunteers have in common."""
        return Cohort(**{field.name: getattr(self, field.name) for field in fields(Cohort)})


class LabelNumbers(Section):
    """Which label of a label map is which region."""

    muscle: int = Field(1, ge=1, description="Muscle.")
    skin: int = Field(2, ge=1, description="Skin.")
    background: int = Field(3, ge=1, description="Air, away from leg and tubes.")

    @model_validator(mode="after")
    def _different(self) -> LabelNumbers:
        if len({self.muscle, self.skin, self.background}) < 3:
            raise ValueError("muscle, skin and background must be three different labels")
        return self


class FileSubjects(Section):
    """Raw files (ISMRMRD), each a volunteer called as the file is, and the label map of each."""

    kind: Literal["files"]
    folder: Path = Field(description="Where the raw files are; relative to the configuration.")
    pattern: str = Field("*.h5", min_length=1, description="Which files in it.")
    regions: Path = Field(description="Folder of label maps, <name of the raw file>.nii.gz or .nii.")
    labels: LabelNumbers = LabelNumbers()
    outlines: Path | None = Field(
        None,
        description="Folder of label maps of all tissues of the leg, drawn on the 1H image, of the same names: regions "
        "called muscle and skin are fitted to k-space, too. null: no fit.",
    )
    outline_names: Path | None = Field(
        None, description="Names of the labels of outlines: ITK-SNAP, 3D Slicer, or a number and a name a line."
    )
    virtual: bool = Field(
        False,
        description="Whether the raw files are simulated; those of `nadenoise simulate` say so.",
    )


SubjectSettings = Annotated[VirtualSubjects | FileSubjects, Field(discriminator="kind")]


class MethodSettings(Section):
    """How images are made."""

    averages: tuple[Count, ...] = Field(
        (50, 40, 30, 20, 10, 5), max_length=64, description="Numbers of averages to cut down to."
    )
    chain: str = Field("sodium_calf", min_length=1, description="Chain of NUFFT, network and reference.")
    cs_chain: str = Field("sodium_calf_cs", min_length=1, description="Chain of compressed sensing.")
    bundle: str = Field(
        "auto",
        min_length=1,
        description="Network; {averages} in it stands for the number, as in paper_{averages}.",
    )
    bundle_sha256: str | None = Field(None, pattern=r"^[0-9a-fA-F]{64}$", description="Checksum; a file needs it.")
    fit: dict[str, str] = Field(
        {}, description="Properties of `quantify` for the fit of regions, such as pose or tissue_t2_star."
    )
    tubes: Literal["reference", "own"] = Field(
        "reference", description="Tubes where the reference shows them, or found anew in every image."
    )

    @field_validator("averages")
    @classmethod
    def _falling(cls, averages: tuple[int, ...]) -> tuple[int, ...]:
        if not averages or len(set(averages)) < len(averages):
            raise ValueError("each number of averages is wanted once")
        return tuple(sorted(averages, reverse=True))


class ReportSettings(Section):
    """What the report shows."""

    figure_averages: int = Field(
        30, ge=1, le=65535, description="Of the correlation and Bland-Altman plots (Figure 4)."
    )
    example: str | None = Field(None, description="Volunteer of the image grids (Figures 2 and 3); null: the first.")
    map_window: tuple[float, float] = Field((0.0, 60.0), description="Of the aTSC maps, mmol/L.")
    readers: Path | None = Field(None, description="Result of `nadenoise study readers analyse`, for Table 3.")

    @field_validator("map_window")
    @classmethod
    def _rising(cls, window: tuple[float, float]) -> tuple[float, float]:
        if not window[0] < window[1]:
            raise ValueError("the first number must be below the second")
        return window


class StudyConfig(Section):
    """Everything that decides a study."""

    title: str = Field("Rapid 2D 23Na MRI of the calf", min_length=1, description="Of the report.")
    subjects: SubjectSettings
    methods: MethodSettings = MethodSettings()
    report: ReportSettings = ReportSettings()

    def plain(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return self.model_dump(mode="json")


def shipped_studies() -> dict[str, Path]:
    """The configurations that come with nadenoise, by name."""
    folder = Path(str(resources.files("nadenoise_core.study"))) / "configs"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_study(name: str) -> StudyConfig:
    """Read and check the configuration of a study, by the name of a shipped one or by path.

    Paths in it are relative to its file.

    Raises:
        ConfigError: not there, not YAML, or a wrong key or value; names file, line, key, value and what is allowed.
    """
    path = find_shipped(name, shipped_studies())
    config = checked(read_document(path), StudyConfig)
    subjects, report = config.subjects, config.report
    if isinstance(subjects, FileSubjects):
        names = ("folder", "regions", "outlines", "outline_names")
        here = {name: path.parent / given for name in names if (given := getattr(subjects, name)) is not None}
        subjects = subjects.model_copy(update=here)
    if report.readers is not None:
        report = report.model_copy(update={"readers": path.parent / report.readers})
    return config.model_copy(update={"subjects": subjects, "report": report})
