"""`nadenoise-train`: from images to a bundle, with one YAML file."""

from __future__ import annotations

import logging
import sys

import typer

from nadenoise_core.commands import Commands, DebugFlag, VersionFlag, new_app, whole_program
from nadenoise_core.console import show_error
from nadenoise_core.log import log_on_stderr
from training.errors import ConfigError

COMMANDS: Commands = {
    "configs": "List the configurations that come with nadenoise, or print one.",
    "prepare": "Read the images, bring them to the matrix, split them by subject, and write one cache.",
    "fit": "Fit the network; a run that was stopped goes on from its last epoch.",
    "finetune": "Fine-tune a complex network on a site's own repeats, without a clean image (Noise2Noise).",
    "evaluate": "The figures of a network on the test images and on virtual calves, beside the paper's.",
    "export": "Evaluate the best network of a run and write it as a bundle with metadata and card.",
    "bench": "What networks and baselines leave of noise, bias and lesions, on legs and objects of known truth.",
    "guard": "How often the guard finds a fault in good scans, and a disc that the denoised image lacks.",
    "compare": "A noise-aware network beside networks for single numbers of averages, on virtual calves.",
}

app = new_app("Make denoising networks from images: prepare, fit, evaluate, export; and finetune them on repeats.")


@app.callback()
def settings(debug: DebugFlag = False, version: VersionFlag = False) -> None:
    """Settings of all commands."""
    log_on_stderr(logging.WARNING, debug)


def program() -> typer.core.TyperGroup:
    """The program with all of its commands."""
    return whole_program(app, COMMANDS, "training.cli")


def _of_the_extra(error: ModuleNotFoundError) -> Exception:
    """What to install, where a package is missing that only the extra brings."""
    if (error.name or "").partition(".")[0] != "skimage":
        return error
    return ConfigError("scikit-image is not installed, which this command needs: pip install 'nadenoise[train]'")


def main() -> None:
    """Run the command line; an error is one line on stderr, and the exit status 2 (bad input) or 1 (failed work)."""
    try:
        program()(prog_name="nadenoise-train")
    except ModuleNotFoundError as error:
        sys.exit(show_error(_of_the_extra(error)))
    except Exception as error:
        sys.exit(show_error(error))


if __name__ == "__main__":
    main()
