"""`nadenoise-train`: from images to a bundle, with one YAML file."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from nadenoise_core.errors import NadenoiseError
from training.config import Config, find_config, load_config, shipped_configs
from training.console import errors, output, print_error, progress_bar, say
from training.errors import ConfigError, DataError

app = typer.Typer(
    help="Make denoising networks from images: prepare, fit, evaluate, export; and finetune them on repeats.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

ConfigName = Annotated[str, typer.Argument(help="YAML file, or name of a shipped one.", metavar="CONFIG")]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Set a value of the configuration, e.g. fit.seed=3; may be repeated.", metavar="KEY=VALUE"
    ),
]
Calves = Annotated[int, typer.Option(min=1, help="Virtual calves to evaluate on.")]
Count = Annotated[int | None, typer.Option("--images", min=1, help="Test images to evaluate on; all unless given.")]

SHOWN = 20  # skipped files

_debug = False


@app.callback()
def settings(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error, and all log messages.")
    ] = False,
) -> None:
    """Settings of all commands."""
    global _debug
    _debug = debug
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        handlers=[logging.StreamHandler(sys.stderr)],
    )


@app.command("configs")
def configs(
    name: Annotated[str | None, typer.Argument(help="Which to print, to begin a file of your own with.")] = None,
) -> None:
    """List the configurations that come with nadenoise, or print one."""
    if name is not None:
        typer.echo(find_config(name).read_text(encoding="utf-8"), nl=False)
        return
    table = Table("configuration", "what it makes")
    for shipped, path in shipped_configs().items():
        table.add_row(shipped, path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# "))
    output.print(table)


@app.command("prepare")
def prepare(
    config: ConfigName,
    assignments: Assignments = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make the cache again if it is there.")] = False,
) -> None:
    """Read the images, bring them to the matrix, split them by subject, and write one cache."""
    from training.data.prepare import load_prepared
    from training.data.prepare import prepare as prepare_data
    from training.sources import Journal

    wanted = _config(config, assignments).data
    if wanted.cache.is_file() and not overwrite:
        cache = load_prepared(wanted)
        say(f"{wanted.cache} is there already, of this configuration: {_counts(cache.provenance.images)}")
        return
    journal = Journal()
    with progress_bar() as bar:
        task = bar.add_task("prepare", total=None)
        journal.progress = lambda done, total: bar.update(task, completed=done, total=total)
        cache = prepare_data(wanted, journal)
    for name, reason in journal.skipped[:SHOWN]:
        errors.print(f"skipped {name}: {reason}", soft_wrap=True, highlight=False, markup=False)
    if len(journal.skipped) > SHOWN:
        errors.print(f"... and {len(journal.skipped) - SHOWN} more", highlight=False)
    for reason, count in cache.provenance.skipped.items():
        say(f"{count} skipped: {reason}")
    if journal.unchosen:
        say(f"{sum(journal.unchosen.values())} series or files are of another description and were left out")
    subjects = sum(cache.provenance.subjects.values())
    say(
        f"{wanted.cache}: {_counts(cache.provenance.images)} images of {subjects} subjects, split by seed {wanted.seed}"
    )


@app.command("fit")
def fit(
    config: ConfigName,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run, runs/CONFIG unless given; what is there goes on.")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", help="Begin with the network of this run or bundle of your own, not at random."),
    ] = None,
    assignments: Assignments = None,
) -> None:
    """Fit the network; a run that was stopped goes on from its last epoch."""
    from training.fitting.fit import fit as fit_network
    from training.network.start import open_start

    _quiet_torchscript()
    path = find_config(config)
    wanted = _config(config, assignments)
    folder = out or Path("runs") / path.stem
    try:
        fitted = fit_network(wanted, folder, start=None if start is None else open_start(start, wanted))
    except KeyboardInterrupt:
        errors.print("stopped; the same command goes on from the last epoch", highlight=False)
        raise typer.Exit(130) from None
    if fitted.team.leads:
        say(
            f"{folder}: {fitted.step} steps, {fitted.elapsed / 60:.1f} minutes, best validation loss {fitted.best:.5g} "
            f"in epoch {fitted.best_epoch}, seed {wanted.fit.seed}"
        )


@app.command("finetune")
def finetune(
    files: Annotated[
        list[Path],
        typer.Argument(help="ISMRMRD raw files with repeated averages; several scans are better.", metavar="RAW..."),
    ],
    start: Annotated[
        Path, typer.Option("--from", help="Folder of a run, or a bundle of your own, of a complex network.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new run; what is there goes on.")],
    minutes: Annotated[float | None, typer.Option(min=0.01, help="How long; 20 unless given.")] = None,
    averages: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Numbers of averages to denoise; those the network serves unless given.", metavar="LO HI"),
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="Configuration of a bundle that does not tell its own.", metavar="CONFIG")
    ] = None,
    accumulate: Annotated[
        list[str] | None,
        typer.Option(
            help="Property of the chain's 'accumulate' that reads these raw files, if it is set there, e.g. "
            "average_counter=repetition; may be repeated.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    assignments: Assignments = None,
) -> None:
    """Fine-tune a complex network on a site's own repeated averages; no clean image is needed (Noise2Noise)."""
    from nadenoise_core.mrd.settings import averaging_settings
    from training.fitting.finetune import finetune as finetune_network
    from training.fitting.finetune import tuning_config
    from training.network.start import open_start

    _quiet_torchscript()
    if out.resolve() == start.resolve():
        raise ConfigError(f"{out}: is where the network comes from; choose another --out")
    begun = open_start(start, None if config is None else _config(config, None))
    wanted = _changed(tuning_config(begun.config, minutes).plain(), assignments, start)
    try:
        fitted = finetune_network(files, begun, wanted, out, averages, averaging_settings(accumulate or ()))
    except KeyboardInterrupt:
        errors.print("stopped; the same command goes on from the last epoch", highlight=False)
        raise typer.Exit(130) from None
    if fitted.team.leads:
        best = f"{fitted.best:.5g} in epoch {fitted.best_epoch}" if fitted.best_epoch else "never better, so unchanged"
        say(
            f"{out}: {fitted.step} steps, {fitted.elapsed / 60:.1f} minutes, validation loss {fitted.start_loss:.5g} "
            f"before, {best}; seed {wanted.fit.seed}"
        )


@app.command("evaluate")
def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder of a run, or a bundle (.pt or .pt2) of your own.")],
    config: Annotated[
        str | None, typer.Option(help="Configuration whose test images to take; the model's own unless given.")
    ] = None,
    assignments: Assignments = None,
    calves: Calves = 20,
    images: Count = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    figure: Annotated[Path | None, typer.Option(help="PNG file to draw examples into.")] = None,
) -> None:
    """The figures of a network on the test images and on virtual calves, beside the paper's."""
    from training.data.kspace import SpiralNoise
    from training.data.prepare import load_prepared
    from training.evaluation.evaluate import evaluate as evaluate_model
    from training.evaluation.figure import draw_examples
    from training.evaluation.tables import report
    from training.network.model import open_model

    _quiet_torchscript()
    network, plain = open_model(model)
    if config is None and plain is None:
        raise ConfigError(f"{model}: does not say which images it was made from; give --config")
    wanted = _changed(plain, assignments, model) if config is None else _config(config, assignments)
    test = load_prepared(wanted.data).parts["test"].first(images)
    noise = SpiralNoise(wanted.design)
    metrics = evaluate_model(network, test, noise, range(calves))
    if figure is not None:
        draw_examples(network, test, noise, figure)
    typer.echo(json.dumps(metrics, indent=1) if as_json else report(metrics))


@app.command("export")
def export(
    run: Annotated[Path, typer.Argument(help="Folder that `nadenoise-train fit` wrote.")],
    name: Annotated[str | None, typer.Option(help="Of the bundle; that of the folder unless given.")] = None,
    version: Annotated[str, typer.Option(help="Of the bundle.")] = "1.0",
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle; that of the run unless given.")] = None,
    keep: Annotated[
        float | None, typer.Option(min=0, help="Pixels: structure wider than this is left as measured; 0: none.")
    ] = None,
    only: Annotated[
        Literal["torchscript", "exported"] | None, typer.Option(help="One of the two formats; both unless given.")
    ] = None,
    assignments: Assignments = None,
    calves: Calves = 20,
    images: Count = None,
) -> None:
    """Evaluate the best network of a run and write it as a bundle with metadata and card."""
    from training.bundling.export import ARCHIVES
    from training.bundling.export import export as export_run
    from training.data.prepare import load_prepared
    from training.evaluation.tables import report
    from training.network.run import load_best

    _quiet_torchscript()
    made = load_best(run)[1]
    wanted = _changed(made.config.plain(), assignments, run)
    cache = load_prepared(wanted.data)
    # A bundle that was fine-tuned need not tell the checksums of its images.
    if made.data and cache.provenance.sha256 != dict(made.data):
        raise DataError(f"{wanted.data.cache}: the run was made from other images; set data.cache to theirs")
    path, metadata = export_run(
        run,
        cache,
        out or run,
        name or run.resolve().name,
        version,
        made.config.network.keep if keep is None else keep,
        calves,
        images,
        ARCHIVES if only is None else (only,),
    )
    typer.echo(report(metadata["metrics"]))
    say(f"\n{path}: {path.stat().st_size} bytes, validation loss {made.validation_loss:.5g} in epoch {made.epoch}")


@app.command("compare")
def compare(
    model: Annotated[Path, typer.Argument(help="Run or bundle of your own, of the noise-aware network.")],
    against: Annotated[
        list[Path],
        typer.Option(
            help="Run or bundle of your own, of a network for one number of averages; may be repeated, and the "
            "nearest serves.",
            metavar="MODEL",
        ),
    ],
    calves: Calves = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """A noise-aware network beside networks for single numbers of averages, on virtual calves."""
    from training.evaluation.compare import compare as compare_models
    from training.evaluation.compare import comparison_report, open_contest, results

    _quiet_torchscript()
    compared = results(compare_models(open_contest(model, against), range(calves)), range(calves))
    typer.echo(json.dumps(compared, indent=1) if as_json else comparison_report(compared))


def _config(name: str, assignments: list[str] | None) -> Config:
    return load_config(find_config(name), assignments or ())


def _changed(plain: dict[str, Any] | None, assignments: list[str] | None, source: Path) -> Config:
    """A configuration that a file kept, with values set."""
    from nadenoise_core.configuration import Document
    from training.config import check_document

    document = Document(str(source), plain or {}, {})
    for assignment in assignments or ():
        document = document.with_value(assignment)
    return check_document(document)


def _counts(images: dict[str, int]) -> str:
    return " + ".join(f"{number} {part}" for part, number in images.items())


def _quiet_torchscript() -> None:
    """torch 2.13 deprecates TorchScript with every call."""
    warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)


def main() -> None:
    """Run the command line; an error is one line on stderr, and the exit status 2 (bad input) or 1 (failed work)."""
    try:
        app()
    except NadenoiseError as error:
        if _debug:
            raise
        print_error(error)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
