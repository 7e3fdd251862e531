"""A map of concentration as a DICOM Parametric Map (PS3.3 A.75), in floating point, by highdicom."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from nadenoise_core import __version__
from nadenoise_core.dicom.codes import MILLIMOLE_PER_LITRE
from nadenoise_core.dicom.derived import concept, identity, made_again


def parametric_map(source: Dataset, values: NDArray[np.generic]) -> Dataset:
    """The map itself, where the MR image that it stands beside rounds it to 0.01 mmol/L.

    The same arguments give the same bytes.

    Args:
        source: the map as an MR image.
        values: (rows, columns) mmol/L.
    """
    import highdicom as hd

    real = np.asarray(values, np.float32)
    source_mapping = source.RealWorldValueMappingSequence[0]
    mapping = hd.pm.RealWorldValueMapping(
        lut_label=source_mapping.LUTLabel,
        lut_explanation=source_mapping.LUTExplanation,
        unit=concept(MILLIMOLE_PER_LITRE),
        value_range=(float(real.min()), float(real.max())),
        slope=1.0,
        intercept=0.0,
    )
    with warnings.catch_warnings():
        # 0.28 has another name for the window, which versions before do not know.
        warnings.filterwarnings("ignore", "Arguments 'window_center'", UserWarning)
        made = hd.pm.ParametricMap(
            source_images=[source],
            pixel_array=real[None],
            **identity(source, "parametric map", 15000),
            manufacturer_model_name="nadenoise",
            software_versions=__version__,
            device_serial_number="none",
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[mapping],
            window_center=float(source.WindowCenter),
            window_width=float(source.WindowWidth),
            content_label="SODIUM",
            content_description=source_mapping.LUTExplanation,
            series_description=f"{source.SeriesDescription} map"[:64],
        )
    made.Laterality = source.get("Laterality", "")
    return made_again(made, source)
