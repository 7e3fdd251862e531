"""Images as DICOM objects: `write(to_dataset(product, geometry, study), folder, name)`."""

from nadenoise_core.dicom.folder import encode, write
from nadenoise_core.dicom.mr_image import to_dataset
from nadenoise_core.dicom.product import Geometry, Product, Study
from nadenoise_core.dicom.uids import instance_uid, study_uid

__all__ = [
    "Geometry",
    "Product",
    "Study",
    "encode",
    "instance_uid",
    "study_uid",
    "to_dataset",
    "write",
]
