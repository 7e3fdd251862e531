"""What is compared: one file a row of the table, each with a `ROW`."""

from benchmarks.rows import density, exam, image, nufft, sense, shipped, total_variation
from benchmarks.rows.row import Row

ROWS: dict[str, Row] = {
    "density": density.ROW,
    "nufft": nufft.ROW,
    "image": image.ROW,
    "tv_isotropic": total_variation.ISOTROPIC,
    "tv_anisotropic": total_variation.ANISOTROPIC,
    "sense": sense.ROW,
    "shipped": shipped.ROW,
    "exam": exam.ROW,
}
