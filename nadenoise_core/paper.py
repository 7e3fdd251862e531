"""The numbers of Baker et al., "Rapid 2D 23Na MRI of the calf using a denoising convolutional neural network"."""

from __future__ import annotations

from dataclasses import dataclass

AVERAGES = (50, 40, 30, 20, 10)

NOISE = 58.0
"""Of the real part of the image of one average, mmol/L. With it, muscle has the estimated SNR of Table 2, 6.7 at 150
averages and 3.6 at 30: mean of the magnitude over the standard deviation of the background's."""


@dataclass(frozen=True)
class Published:
    """Median and interquartile range; mean and standard deviation in Table 3."""

    middle: float
    spread: float


@dataclass(frozen=True)
class PublishedAgreement:
    """A row of Table 4 or 5: values, Pearson's r, bias and limits of agreement (mmol/L), p of the bias.

    `p` is an upper bound where it is 0.001: the paper then writes "< 0.001".
    """

    values: Published
    r: float
    bias: float
    lower: float
    upper: float
    p: float

    @property
    def half_width(self) -> float:
        """Half of the distance between the limits."""
        return (self.upper - self.lower) / 2


def _pairs(*numbers: float) -> tuple[Published, ...]:
    return tuple(Published(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True))


TABLE_1: dict[int, tuple[tuple[Published, ...], tuple[Published, ...]]] = {
    50: (_pairs(1.3, 0.1, 0.77, 0.05, 29.0, 0.5), _pairs(0.4, 0.1, 0.92, 0.03, 33.7, 1.0)),
    40: (_pairs(1.6, 0.2, 0.73, 0.05, 28.0, 0.5), _pairs(0.5, 0.1, 0.91, 0.03, 33.1, 1.0)),
    30: (_pairs(2.1, 0.2, 0.68, 0.06, 26.9, 0.5), _pairs(0.6, 0.1, 0.90, 0.03, 32.6, 0.9)),
    20: (_pairs(3.0, 0.4, 0.61, 0.06, 25.2, 0.5), _pairs(0.7, 0.2, 0.88, 0.04, 31.6, 1.0)),
    10: (_pairs(5.7, 0.7, 0.48, 0.07, 22.5, 0.6), _pairs(0.9, 0.2, 0.84, 0.05, 30.3, 1.1)),
}
"""Averages to (MSE x 1e3, SSIM, PSNR in dB) of the input, then of the denoised image."""

TABLE_2_REFERENCE = {"snr": Published(6.7, 1.2), "sharpness": Published(12.6, 0.7)}
TABLE_2: dict[tuple[str, int], dict[str, Published]] = {
    (method, averages): dict(zip(("snr", "sharpness"), _pairs(*numbers), strict=True))
    for (method, averages), numbers in {
        ("NUFFT", 50): (4.4, 0.5, 12.6, 0.5),
        ("CS", 50): (6.8, 1.0, 12.5, 0.6),
        ("CNN", 50): (24.0, 5.3, 12.8, 0.5),
        ("NUFFT", 40): (4.1, 0.5, 12.6, 0.4),
        ("CS", 40): (5.8, 1.1, 12.5, 0.4),
        ("CNN", 40): (20.4, 4.4, 12.7, 0.5),
        ("NUFFT", 30): (3.6, 0.5, 12.5, 0.9),
        ("CS", 30): (5.9, 0.9, 12.4, 0.8),
        ("CNN", 30): (21.2, 10.6, 12.6, 0.5),
        ("NUFFT", 20): (2.9, 0.4, 12.4, 1.3),
        ("CS", 20): (5.5, 0.9, 12.4, 1.0),
        ("CNN", 20): (22.6, 7.8, 12.4, 0.5),
        ("NUFFT", 10): (2.2, 0.4, 12.7, 2.8),
        ("CS", 10): (5.5, 1.3, 12.1, 1.2),
        ("CNN", 10): (9.4, 4.3, 12.4, 0.5),
    }.items()
}
"""Estimated SNR, and edge sharpness in mmol/L per mm."""

TABLE_3: dict[int, dict[str, Published]] = {
    averages: dict(zip(("reference", "NUFFT", "CS", "CNN"), _pairs(*numbers), strict=True))
    for averages, numbers in {
        50: (1.7, 0.7, 3.4, 1.0, 2.8, 0.8, 1.6, 0.9),
        40: (1.7, 0.6, 3.1, 1.0, 3.0, 0.7, 1.5, 0.8),
        30: (1.6, 0.5, 3.4, 0.8, 3.0, 0.5, 1.4, 0.7),
        20: (1.6, 0.5, 3.6, 0.6, 2.8, 0.4, 1.4, 0.6),
        10: (1.4, 0.5, 3.1, 1.0, 2.5, 0.5, 1.6, 0.6),
    }.items()
}
"""Rank, 1 best to 4 worst."""

TABLES_4_5_REFERENCE = {"muscle": Published(21.5, 3.0), "skin": Published(18.8, 5.1)}


def _agreement(
    middle: float, spread: float, r: float, bias: float, lower: float, upper: float, p: float
) -> PublishedAgreement:
    return PublishedAgreement(Published(middle, spread), r, bias, lower, upper, p)


TABLES_4_5: dict[tuple[str, str, int], PublishedAgreement] = {
    ("muscle", "NUFFT", 50): _agreement(21.6, 2.6, 0.991, 0.15, -0.37, 0.67, 0.115),
    ("muscle", "CS", 50): _agreement(22.0, 2.7, 0.986, 0.67, -0.02, 1.36, 0.001),
    ("muscle", "CNN", 50): _agreement(22.0, 2.8, 0.993, 0.59, 0.06, 1.12, 0.001),
    ("muscle", "NUFFT", 40): _agreement(21.4, 1.7, 0.963, 0.12, -0.90, 1.14, 0.484),
    ("muscle", "CS", 40): _agreement(22.0, 1.9, 0.958, 0.64, -0.45, 1.73, 0.005),
    ("muscle", "CNN", 40): _agreement(22.1, 1.8, 0.974, 0.65, -0.22, 1.52, 0.001),
    ("muscle", "NUFFT", 30): _agreement(21.3, 1.7, 0.967, 0.05, -1.06, 1.16, 0.784),
    ("muscle", "CS", 30): _agreement(22.1, 2.0, 0.953, 0.69, -0.45, 1.83, 0.005),
    ("muscle", "CNN", 30): _agreement(21.8, 2.0, 0.977, 0.47, -0.34, 1.28, 0.006),
    ("muscle", "NUFFT", 20): _agreement(21.6, 1.8, 0.931, -0.23, -1.64, 1.17, 0.328),
    ("muscle", "CS", 20): _agreement(22.5, 1.9, 0.953, 0.74, -0.43, 1.91, 0.004),
    ("muscle", "CNN", 20): _agreement(23.0, 2.2, 0.958, 1.09, -0.01, 2.20, 0.001),
    ("muscle", "NUFFT", 10): _agreement(21.4, 2.5, 0.838, -0.18, -2.26, 1.89, 0.595),
    ("muscle", "CS", 10): _agreement(22.5, 2.6, 0.883, 1.31, -0.46, 3.08, 0.001),
    ("muscle", "CNN", 10): _agreement(22.6, 2.4, 0.834, 1.44, -0.66, 3.53, 0.002),
    ("skin", "NUFFT", 50): _agreement(18.8, 5.7, 0.981, 0.15, -1.06, 1.37, 0.449),
    ("skin", "CS", 50): _agreement(17.5, 5.7, 0.979, -0.76, -2.07, 0.55, 0.006),
    ("skin", "CNN", 50): _agreement(18.3, 5.6, 0.976, -0.25, -1.67, 1.18, 0.312),
    ("skin", "NUFFT", 40): _agreement(19.0, 5.5, 0.970, 0.05, -1.48, 1.59, 0.829),
    ("skin", "CS", 40): _agreement(17.7, 5.5, 0.971, -0.78, -2.28, 0.72, 0.011),
    ("skin", "CNN", 40): _agreement(18.4, 5.6, 0.970, -0.37, -2.11, 1.38, 0.227),
    ("skin", "NUFFT", 30): _agreement(19.0, 5.5, 0.979, 0.04, -1.27, 1.34, 0.866),
    ("skin", "CS", 30): _agreement(17.4, 5.6, 0.975, -1.12, -2.52, 0.27, 0.001),
    ("skin", "CNN", 30): _agreement(18.1, 6.1, 0.973, -0.84, -2.70, 1.02, 0.021),
    ("skin", "NUFFT", 20): _agreement(18.7, 4.4, 0.967, -0.16, -1.79, 1.47, 0.561),
    ("skin", "CS", 20): _agreement(16.5, 5.0, 0.954, -1.69, -3.66, 0.28, 0.001),
    ("skin", "CNN", 20): _agreement(17.9, 5.5, 0.966, -0.42, -2.49, 1.65, 0.240),
    ("skin", "NUFFT", 10): _agreement(18.7, 4.5, 0.918, -0.14, -2.65, 2.37, 0.738),
    ("skin", "CS", 10): _agreement(16.4, 4.3, 0.908, -2.25, -5.09, 0.59, 0.001),
    ("skin", "CNN", 10): _agreement(17.2, 6.6, 0.879, -0.98, -4.96, 2.99, 0.159),
}
"""Region, method and averages to the row of Table 4 (muscle) or 5 (skin)."""

SECONDS = {"NUFFT": 0.2, "CNN": 0.1, "CS": 32.8}
"""Of an image (section 3.2)."""
