"""Where images come from, one module a source."""

from __future__ import annotations

from training.config import DicomSettings, Hdf5Settings, NiftiSettings, SourceSettings
from training.sources.base import Journal, Series, Slice, Source
from training.sources.dicom import DicomSource
from training.sources.hdf5 import Hdf5Source
from training.sources.nifti import NiftiSource
from training.sources.synthetic import SyntheticSource

__all__ = ["Journal", "Series", "Slice", "Source", "open_source"]


def open_source(settings: SourceSettings) -> Source:
    """The source that the settings name."""
    if isinstance(settings, DicomSettings):
        return DicomSource(settings)
    if isinstance(settings, NiftiSettings):
        return NiftiSource(settings)
    if isinstance(settings, Hdf5Settings):
        return Hdf5Source(settings)
    return SyntheticSource(settings)
