"""`nadenoise measure`: many scans, one table."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

QUIET = {"seed": 5, "averages": 4, "noise": 4.0}  # as little noise as 200 of the paper's averages have


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_many_scans_become_one_table(command, scan_file, measured, label_file, names_file, tmp_path) -> None:
    raws, maps = [], tmp_path / "maps"
    maps.mkdir()
    for number, seed in enumerate((5, 6)):
        raws.append(tmp_path / f"leg{number}.h5")
        raws[-1].write_bytes(scan_file(**{**QUIET, "seed": seed}).read_bytes())
        drawn = label_file(measured(**{**QUIET, "seed": seed})[0])
        (maps / f"leg{number}.nii.gz").write_bytes(drawn.read_bytes())
    out, alone = tmp_path / "out" / "regions.csv", tmp_path / "alone.csv"
    given = ("measure", *raws, "--labels", maps / "{name}.nii.gz", "--names", names_file)
    result = command(*given, "--csv", out, "--jobs", 2)
    assert result.status == 0, result.err
    assert command(*given, "--csv", alone, "--jobs", 1).status == 0 and alone.read_text() == out.read_text()
    rows = rows_of(out)
    assert [(row["scan"], row["region"]) for row in rows] == [
        (scan, region) for scan in ("leg0", "leg1") for region in ("muscle", "skin", "fat", "bone", "vessel")
    ]
    assert {row["method"] for row in rows} == {"fit"}
    assert (out.parent / "regions.json").is_file()
    assert "muscle" in result.out


def test_a_scan_that_fails_does_not_take_the_others_with_it(command, scan_file, measured, label_file, tmp_path):
    (tmp_path / "broken.h5").write_bytes(b"no HDF5")
    out = tmp_path / "regions.csv"
    labels = label_file(measured(**QUIET)[0])
    result = command(
        "measure", tmp_path / "broken.h5", scan_file(**QUIET), "--labels", labels, "--csv", out, "--jobs", 1
    )
    assert result.status == 2 and "broken.h5" in result.err
    assert {row["scan"] for row in rows_of(out)} == {scan_file(**QUIET).stem}


def test_without_a_table_the_concentrations_are_shown(
    command, scan_file, measured, label_file, names_file, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = (scan_file(**QUIET), "--labels", label_file(measured(**QUIET)[0]), "--names", names_file)
    before = set(tmp_path.iterdir())
    result = command("measure", *given)
    (muscle,) = [line.split() for line in result.out.splitlines() if " muscle " in line]
    atsc, low, high = (float(muscle[place]) for place in (4, 5, 7))
    assert low < atsc < high and abs(atsc - measured(**QUIET)[0].calf().muscle) < 1
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--averages", "10,x"], "write whole numbers above 0"),
        (["--methods", "magic"], "use one or more of fit, mean, denoised mean"),
        (["--csv", "table.txt"], "ends in .csv"),
        (["--labels", "nowhere.nii"], "nowhere.nii: no such label map"),
    ],
)
def test_what_cannot_be_is_told(args, words, command, scan_file, tmp_path) -> None:
    given = {"--labels": "nowhere.nii", "--csv": str(tmp_path / "t.csv")} | {args[0]: args[1]}
    result = command("measure", scan_file(**QUIET), *(part for pair in given.items() for part in pair))
    result.is_refused(words)
    assert not list(tmp_path.glob("*.csv"))


def test_an_earlier_table_is_kept(command, scan_file, measured, label_file, tmp_path) -> None:
    out = Path(tmp_path / "t.csv")
    out.write_text("mine")
    given = ("measure", scan_file(**QUIET), "--labels", label_file(measured(**QUIET)[0]), "--csv", out)
    command(*given).is_refused("exists already")
    command(*given, "--overwrite").is_refused("is not replaced, since it is no table of nadenoise")
    assert out.read_text() == "mine"
