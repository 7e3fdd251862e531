"""`nadenoise`: the commands, and how errors are shown."""

from __future__ import annotations

import gc
import logging
import os
import sys

import typer

from nadenoise_core.commands import Commands, DebugFlag, Group, VersionFlag, new_app, whole_program
from nadenoise_core.console import show_error
from nadenoise_core.log import log_on_stderr

COMMANDS: Commands = {
    "simulate": "Simulate a scan of the virtual calf: k-space in closed form, half-pulses, averages, noise.",
    "check": "Check raw files against a chain: what was found, what was assumed, and what is to be done.",
    "replay": "Replay raw files: DICOM, ISMRMRD images, a report and a picture for each.",
    "measure": "Measure the regions of a label map in raw files, and write them as one table.",
    "demo": "Simulate a scan, replay it through the default chain, and compare the result with the truth.",
    "serve": "Serve scans until stopped.",
    "send": "Send a raw file to a server (ours, or Gadgetron), and keep the images and DICOM files that return.",
    "stream": "Run a chain from stdin to stdout, in the form of Gadgetron's streams.",
    "deliver": "Deliver what waits in an outbox to a PACS or a DICOMweb server.",
    "chain": Group(
        "List, show, check and describe chains and gadgets.",
        {
            "list": "The chains that come with nadenoise.",
            "show": "The text of a chain, to begin a file of your own with.",
            "check": "Check a chain file: elements, gadgets, properties, order of stages, bundles and other files.",
            "describe": "The properties of a gadget: values with their unit, default, meaning.",
            "openrecon": "The description of an OpenRecon container that runs a chain.",
        },
    ),
    "model": Group(
        "List and describe the networks (bundles).",
        {
            "list": "The bundles that come with nadenoise, or with installed packages.",
            "describe": "What a bundle was trained for, how, and how well it did.",
        },
    ),
    "study": Group(
        "The paper's evaluation: tables, figures and statistics of many scans.",
        {
            "run": "Evaluate every volunteer, and write the report.",
            "merge": "Make the report of a study that `nadenoise study run --shard` has evaluated.",
            "cohort": "Measure short scans that have no reference: concentrations with errors.",
            "list": "The configurations that come with nadenoise.",
            "export": "Write the reference of a raw file, image and aTSC map, as NIfTI.",
            "readers": Group(
                "Images ranked blind by readers: build, serve, analyse.",
                {
                    "build": "Build the page for the readers and the key for the organiser.",
                    "serve": "Serve the page and keep every answer as it is given, until Ctrl-C.",
                    "analyse": "Unblind the ranks: Table 3 of the paper, tests, agreement between and within readers.",
                },
            ),
        },
    ),
    "version": "Show the version of nadenoise.",
}

_OBJECTS = 50_000  # that come new before a search for garbage

app = new_app("Rapid 2D 23Na MRI with a denoising network: from raw data to aTSC maps in DICOM.")


@app.callback()
def settings(debug: DebugFlag = False, version: VersionFlag = False) -> None:
    """Settings of all commands."""
    log_on_stderr(logging.ERROR, debug)  # warnings are in the reports
    # Some libraries turn Python's own warnings on for the whole process: they are for developers.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.DEBUG if debug else logging.ERROR)


def program() -> typer.core.TyperGroup:
    """The program with all of its commands."""
    return whole_program(app, COMMANDS, __package__ or "")


def main() -> None:
    """Run the command line; an error is one line on stderr, and the exit status 2 (bad input) or 1 (failed work)."""
    gc.set_threshold(_OBJECTS)  # what is imported stays, and would be searched for garbage a hundred times
    # The matrices here are small, and threads of BLAS spin on cores that others need. It is read as numpy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        program()(prog_name="nadenoise")
    except Exception as error:
        sys.exit(show_error(error))


if __name__ == "__main__":
    main()
