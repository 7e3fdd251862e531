"""The card of a bundle, from its metadata: what it is, how it was made, how well it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from training.evaluate import report


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
        f"| made for | {columns} x {rows} pixels, {low} to {high} averages |",
        f"| network | {config['network']['blocks']} residual blocks of {config['network']['filters']} filters, "
        f"tail {config['network']['tail']}, keep {training['keep']:g} |",
        f"| images | {counts}; from {config['data']['source']['kind']}{f' ({skipped})' if skipped else ''} |",
        f"| loss | {config['loss']['name']} |",
        f"| fit | best epoch {training['epoch']} of at most {config['fit']['epochs']}{limit}: step {training['step']}, "
        f"after {training['minutes']:.1f} minutes with {training['processes']} process(es); seed "
        f"{config['fit']['seed']} |",
        f"| code | nadenoise {training['code']['nadenoise']}, torch {training['code']['torch']} |",
        f"| licence | {metadata['licence']} |",
        "",
        "## Figures",
        "",
        f"Of {metadata['metrics']['test_images']} test images and {metadata['metrics']['test_calves']} virtual calves; "
        "median (interquartile range), then bias (standard deviation) in mmol/L.",
        "",
        report(metadata["metrics"]),
        "",
        "## Make it again",
        "",
        f"Save the configuration below as `{metadata['name']}.yaml`, then",
        "",
        f"    nadenoise-train prepare {metadata['name']}.yaml",
        f"    nadenoise-train fit {metadata['name']}.yaml --out runs/{metadata['name']}",
        f"    nadenoise-train export runs/{metadata['name']} --keep {training['keep']:g}",
        "",
        "```yaml",
        yaml.safe_dump(config, sort_keys=False).rstrip(),
        "```",
        "",
    ]
    return "\n".join(lines)
