"""From a source to a cache: prepare every slice, keep subjects together, split them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import nadenoise_core
from training.config import DataSettings, SplitSettings
from training.data.cache import PARTS, Cache, Images, Provenance, check_replaceable, read_cache, write_cache
from training.data.drawing import draw_objects
from training.data.images import PreparedImage, prepare_image
from training.errors import DataError
from training.sources import Journal, Slice, open_source
from training.sources.anatomy import GENERATOR_VERSION

# Counts up with what this module, `training.data.images` or the generator make of the same data.
PREPARATION = 100 * GENERATOR_VERSION + 1


@dataclass(frozen=True)
class _Prepared:
    image: PreparedImage
    sha256: str  # of the slice it was made from


def prepare(settings: DataSettings, journal: Journal) -> Cache:
    """Read the source of the settings and write their cache.

    Args:
        settings: section `data` of a configuration.
        journal: is told the progress and what was skipped.

    Raises:
        DataError: no images, or too few subjects.
        OutputError: the cache cannot be written.
    """
    check_replaceable(settings.cache)
    subjects: dict[str, list[_Prepared]] = defaultdict(list)
    for series in open_source(settings.source).series(journal):
        for given in series.slices:
            try:
                subjects[series.subject].append(_Prepared(prepare_image(given, settings.matrix), _checksum(given)))
            except DataError as error:
                journal.skip(series.name, str(error))
    keys = sorted(key for key, images in subjects.items() if images)
    if len(keys) < len(PARTS):
        raise DataError(_too_few(len(keys), journal))
    numbers = split_subjects(len(keys), settings.split, settings.seed)
    parts = {part: _images([subjects[keys[number]] for number in numbers[part]], numbers[part]) for part in PARTS}
    checksums = [prepared.sha256 for key in keys for prepared in subjects[key]]
    objects = draw_objects(settings.objects, settings.matrix, journal.progress) if settings.objects else None
    provenance = Provenance(
        preparation=PREPARATION,
        nadenoise=nadenoise_core.__version__,
        configuration=settings.model_dump(mode="json"),
        fingerprint=settings.fingerprint,
        source_sha256=hashlib.sha256("".join(checksums).encode()).hexdigest(),
        images={part: len(images) for part, images in parts.items()},
        subjects={part: len(numbers[part]) for part in PARTS},
        sha256={part: images.checksum() for part, images in parts.items()},
        skipped=journal.reasons(),
        objects_sha256=None if objects is None else objects.checksum(),
    )
    cache = Cache(parts, provenance, objects)
    write_cache(settings.cache, cache)
    return cache


def load_prepared(settings: DataSettings) -> Cache:
    """The cache of the settings.

    Raises:
        DataError: it is missing, damaged, or made with other settings.
    """
    return read_cache(settings.cache, settings, PREPARATION)


def split_subjects(count: int, shares: SplitSettings, seed: int) -> dict[str, list[int]]:
    """Which of `count` subjects fall into which part: by the seed, at least one in each."""
    order = np.random.default_rng(seed).permutation(count)
    test = min(max(1, round(shares.test * count)), count - 2)
    validation = min(max(1, round(shares.validation * count)), count - 1 - test)
    ends = (count - validation - test, count - test)
    return {part: sorted(map(int, chosen)) for part, chosen in zip(PARTS, np.split(order, ends), strict=True)}


def _images(subjects: Sequence[Sequence[_Prepared]], numbers: Sequence[int]) -> Images:
    flat = [prepared.image for subject in subjects for prepared in subject]
    muscles = [prepared.muscle for prepared in flat if prepared.muscle is not None]
    return Images(
        np.stack([prepared.image for prepared in flat]),
        np.stack([prepared.clearance for prepared in flat]),
        np.stack(muscles) if len(muscles) == len(flat) else None,
        np.repeat(np.array(numbers, np.int32), [len(subject) for subject in subjects]),
    )


def _checksum(given: Slice) -> str:
    return hashlib.sha256(np.ascontiguousarray(given.image).data).hexdigest()


def _too_few(count: int, journal: Journal) -> str:
    reasons = "; ".join(f"{number} skipped: {reason}" for reason, number in journal.reasons().items())
    found = f"{count} subjects with usable images" if count else "no usable image"
    return f"{found}; train, validation and test need at least one subject each{f' ({reasons})' if reasons else ''}"
