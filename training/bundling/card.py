"""The card of a bundle, from its metadata: what it is, how it was made, how well it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from training.evaluation.tables import report

_SOURCES = {
    "synthetic": "synthetic axial slices of calf, knee and thigh",
    "dicom": "1H images (DICOM)",
    "nifti": "images (NIfTI)",
    "hdf5": "1H images (HDF5)",
}


def trained_on(source: str, pairs: str) -> str:
    """What a network was trained on, in words, by the kinds of its source of images and of its pairs."""
    images = _SOURCES[source]
    if pairs == "scenes":
        return f"virtual calves, {images} and bodies without anatomy, with reference tubes and small structures"
    return f"{images} with reference tubes"


def card(metadata: dict[str, Any], sizes: Mapping[str, int]) -> str:
    """Markdown.

    Args:
        metadata: of the bundle.
        sizes: of its files, bytes, by name; they hold the same network.
    """
    training = metadata["training"]
    config = training["configuration"]
    provenance = training["provenance"]
    rows, columns = metadata["matrix"]
    low, high = metadata["averages"]
    unit = {"noise": "in units of its noise", "range": "brought to 0..1 by its own minimum and maximum"}
    counts = ", ".join(f"{number} {part}" for part, number in provenance["images"].items())
    skipped = "; ".join(f"{count} skipped: {reason}" for reason, count in provenance["skipped"].items())
    tuned = "tuning" in training
    limit = f", at most {config['fit']['minutes']:g} minutes" if config["fit"]["minutes"] else ""
    lines = [
        f"# {metadata['name']} {metadata['version']}",
        "",
        metadata["description"],
        "",
        "| | |",
        "|---|---|",
        f"| file | {' or '.join(f'`{name}`, {size / 1000:.0f} kB' for name, size in sizes.items())} |",
        f"| input | {metadata['input']['channels']} image, {unit[metadata['input']['normalisation']]} |",
        f"| made for | {columns} x {rows} pixels, {low if low == high else f'{low} to {high}'} averages |",
        f"| network | {_network(config['network'], training['keep'])} |",
        f"| images | {counts}; from {config['data']['source']['kind']}{f' ({skipped})' if skipped else ''} |",
        f"| loss | {config['loss']['name']} |",
        f"| fit | best epoch {training['epoch']} of at most {config['fit']['epochs']}{limit}: step {training['step']}, "
        f"after {training['minutes']:.1f} minutes, processes: {training['processes']}; seed "
        f"{config['fit']['seed']} |",
        *([f"| begun with | {_start(training['tuning']['start'])} |"] if tuned else []),
        f"| code | nadenoise {training['code']['nadenoise']}, torch {training['code']['torch']} |",
        f"| licence | {metadata['licence']} |",
        "",
        "## Figures",
        "",
        f"Of {metadata['metrics']['test_images']} test images and {metadata['metrics']['test_calves']} virtual calves; "
        "median (interquartile range), then bias (standard deviation) in mmol/L; edge: change of the steepness of the "
        "strongest tube's edge, calibrated, against the noiseless image.",
        "",
        report(metadata["metrics"]),
        "",
        "## Limits",
        "",
        *_limits(metadata),
        "",
        "## Make it again",
        "",
        f"Save the configuration below as `{metadata['name']}.yaml`, then"
        + (" (START is what it began with, see above; a longer fit from random weights should do as well)" * tuned),
        "",
        f"    nadenoise-train prepare {metadata['name']}.yaml",
        f"    nadenoise-train fit {metadata['name']}.yaml --out runs/{metadata['name']}{' --from START' * tuned}",
        f"    nadenoise-train export runs/{metadata['name']} --keep {training['keep']:g}",
        "",
        "```yaml",
        yaml.safe_dump(config, sort_keys=False).rstrip(),
        "```",
        "",
    ]
    return "\n".join(lines)


def _network(network: Mapping[str, Any], keep: float) -> str:
    if network.get("levels"):
        levels, depths = (", ".join(map(str, network[name])) for name in ("levels", "depths"))
        return f"U-shaped, {levels} filters, {depths} residual blocks"
    return f"{network['blocks']} residual blocks of {network['filters']} filters, tail {network['tail']}, keep {keep:g}"


def _limits(metadata: Mapping[str, Any]) -> list[str]:
    """What the network was not made for."""
    config = metadata["training"]["configuration"]
    pairs = config["pairs"]["kind"]
    unseen = "implant, motion or spike" if pairs == "scenes" else "lesion, implant, motion or spike"
    lines = [f"- Trained on {trained_on(config['data']['source']['kind'], pairs)}; on no sodium scan. No {unseen}."]
    if metadata["input"]["channels"] == "magnitude":
        lines += [
            "- A magnitude network: it learnt to take away the floor that noise makes in a magnitude, and with other "
            "noise some of it stays. Noise must be that of the paper's pairs: 0.038 of the largest k-space value for "
            "one average.",
            "- For its own number of averages alone; a chain must name it (`bundle` of `denoise`).",
        ]
    else:
        lines.append("- The noise level must be known and right within some ten percent, and that of the same spiral.")
    return [*lines, "- The SNR of a denoised image is no acquisition SNR."]


def _start(start: Mapping[str, Any]) -> str:
    """The network that a fit began with: a bundle, or a run, which may itself have begun with another."""
    if "bundle" in start:
        return f"the bundle {start['bundle']} {start['version']} (sha256 {start['sha256'][:12]}...)"
    pairs = start["configuration"]["pairs"]
    kinds = {"paper": f"pairs of {pairs['averages']} averages", "scenes": "scenes"}
    kind = kinds.get(pairs["kind"], "quantitative pairs")
    fitted = f"the network of step {start['step']}, {start['minutes']:.1f} minutes, of a fit on {kind}"
    return f"{fitted}, begun with {_start(start['tuning']['start'])}" if "tuning" in start else fitted
