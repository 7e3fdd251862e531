"""The one-page report of a replay."""

from __future__ import annotations

from typing import Any

from nadenoise_core.replay.html import embedded, render


def replay_page(report: dict[str, Any], picture: bytes, virtual: bool) -> str:
    """A self-contained HTML page of one replay.

    Args:
        report: what `report.json` holds.
        picture: the PNG overview.
        virtual: whether the scan was simulated.
    """
    images = [{"calibration": None, "bundle": None, "regions": None, **image} for image in report["images"]]
    return render(
        "nadenoise_core.replay",
        "replay.html.j2",
        title=f"23Na MRI: {report['raw']['file']}",
        subject=(
            "The subject is virtual: this scan was simulated, not taken of a person."
            if virtual
            else "The subject is not virtual, as far as the raw file tells."
        ),
        virtual=virtual,
        report=report,
        images=images,
        maps=[image for image in images if image["kind"] == "atsc"],
        picture=embedded(picture),
    )
