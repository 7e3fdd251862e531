"""Random limbs from the generator: every one is a subject of one slice."""

from __future__ import annotations

from collections.abc import Iterator

from training.config import SyntheticSettings
from training.sources.anatomy import draw_limb
from training.sources.base import Journal, Series, Slice


class SyntheticSource:
    """Limbs of the seeds (seed, 0), (seed, 1), ..."""

    def __init__(self, settings: SyntheticSettings) -> None:
        self.settings = settings

    def series(self, journal: Journal) -> Iterator[Series]:
        count = self.settings.count
        for index in range(count):
            limb = draw_limb((self.settings.seed, index), self.settings.render_size)
            drawn = Slice(limb.image, outline=limb.outline, muscle=limb.muscle, level=limb.muscle_level)
            yield Series(f"{index:08d}", f"limb {index}", (drawn,))
            journal.progress(index + 1, count)
