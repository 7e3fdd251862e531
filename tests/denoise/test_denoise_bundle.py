"""Bundles: what they say of themselves, whom they fit, and which are trusted."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tracemalloc
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from nadenoise_core.denoise import bundle as bundle_module
from nadenoise_core.denoise.bundle import (
    Bundle,
    choose_bundle,
    find_bundle,
    installed_checksums,
    listed_checksum,
    shipped_bundles,
    shipped_checksums,
)
from nadenoise_core.errors import BundleError


def test_a_bundle_describes_itself(build) -> None:
    path = build(training={"seed": 3}, peak_snr=[1.5, 20], metrics={"psnr": 31.2}, extra_remark="kept")
    got = Bundle(path)
    assert got.name == "tiny"
    assert got.metadata.matrix == (16, 12)
    assert got.metadata.averages == (1, 150)
    assert got.metadata.peak_snr == (1.5, 20.0)
    assert got.metadata.input.channels == "complex"
    assert got.metadata.training == {"seed": 3}
    assert got.metadata.model_extra == {"extra_remark": "kept"}
    assert got.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_metadata_is_read_without_torch(build) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from nadenoise_core.denoise.bundle import Bundle\n"
        "print(Bundle(Path(sys.argv[1])).name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(build(name="x.pt"))], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "tiny"


def test_a_file_is_trusted_by_its_checksum_alone(build) -> None:
    path = build()
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(BundleError, match=f"can run code.*bundle_sha256 to {checksum}"):
        find_bundle(str(path))
    assert find_bundle(str(path), checksum).sha256 == checksum
    assert find_bundle(str(path), checksum.upper()).name == "tiny"
    with pytest.raises(BundleError, match=f"checksum is {checksum[:12]}.*expected 000000000000"):
        find_bundle(str(path), "0" * 64)
    with path.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match="changed or damaged"):
        find_bundle(str(path), checksum)


@pytest.fixture
def models(build, tmp_path: Path, monkeypatch) -> Path:
    """A folder of shipped bundles: wide (1 to 150 averages) and early (5 to 30)."""
    folder = tmp_path / "models"
    paths = [
        build("return x", name="models/wide.pt", description="all", **{}),
        build("return 2 * x", name="models/early.pt", averages=[5, 30]),
    ]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths]
    (folder / "SHA256SUMS").write_text("".join(lines))
    monkeypatch.setattr(bundle_module.resources, "files", lambda package: folder)
    return folder


def test_shipped_bundles_are_checked(models: Path) -> None:
    assert [bundle.path.name for bundle in shipped_bundles()] == ["early.pt", "wide.pt"]
    assert find_bundle(str(models / "early.pt")).metadata.averages == (5, 30)  # known, so trusted by path
    (models / "early.pt").write_bytes((models / "wide.pt").read_bytes())
    with pytest.raises(BundleError, match=r"early\.pt: checksum is"):
        shipped_bundles()
    (models / "early.pt").unlink()
    with pytest.raises(BundleError, match=r"early\.pt: the bundle is listed but missing"):
        shipped_bundles()


def test_a_file_that_is_not_listed_is_not_shipped(models: Path, build) -> None:
    build("return 3 * x", name="models/stranger.pt", description="unknown")
    assert [bundle.path.name for bundle in shipped_bundles()] == ["early.pt", "wide.pt"]
    with pytest.raises(BundleError, match="not a shipped bundle"):
        find_bundle(str(models / "stranger.pt"))


def test_names(models: Path, build, tmp_path: Path) -> None:
    assert find_bundle("tiny").path.parent == models
    with pytest.raises(BundleError, match=r"unknown bundle 'huge'.*tiny.*\.pt or \.pt2 file"):
        find_bundle("huge")
    for name in ("missing.pt", "missing.pt2", str(tmp_path / "folder.pt")):
        (tmp_path / "folder.pt").mkdir(exist_ok=True)
        with pytest.raises(BundleError, match="no such bundle"):
            find_bundle(name)


def test_of_two_formats_one_is_offered_and_both_are_checked(models: Path, build) -> None:
    wide = models / "wide.pt2"
    wide.write_bytes(build("return 4 * x", name="other.pt", version="2.0").read_bytes())
    with (models / "SHA256SUMS").open("a") as sums:
        sums.write(f"{hashlib.sha256(wide.read_bytes()).hexdigest()}  wide.pt2\n")
    assert [bundle.path.name for bundle in shipped_bundles()] == ["early.pt", "wide.pt"]
    assert find_bundle(str(wide)).metadata.version == "2.0"
    wide.write_bytes(b"something else")
    with pytest.raises(BundleError, match=r"wide\.pt2: checksum is .* changed or damaged"):
        shipped_bundles()


def test_the_format_is_known_by_what_is_inside(build, tmp_path: Path) -> None:
    path = build()
    assert Bundle(path).archive == "torchscript"
    renamed = tmp_path / "renamed.pt2"
    renamed.write_bytes(path.read_bytes())
    assert Bundle(renamed).archive == "torchscript"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "marked.pt", "w") as marked:
        marked.writestr("archive/archive_format", "pt2")
        marked.writestr("archive/extra/metadata.json", archive.read("tiny/extra/metadata.json"))
    assert Bundle(tmp_path / "marked.pt").archive == "exported"


def test_damaged_files(build, tmp_path: Path) -> None:
    whole = build().read_bytes()
    spoiled = tmp_path / "spoiled.pt"
    at = whole.index(b'"for tests"')
    for content in (b"", b"not a zip", whole[: len(whole) // 2], whole[:at] + b"#" + whole[at + 1 :]):
        spoiled.write_bytes(content)
        with pytest.raises(BundleError, match=r"spoiled\.pt: not a TorchScript bundle nor one .* damaged"):
            Bundle(spoiled)


def test_metadata_that_is_missing_or_wrong(build) -> None:
    with pytest.raises(BundleError, match=r"holds no metadata\.json"):
        Bundle(build(metadata=""))
    with pytest.raises(BundleError, match="damaged"):
        Bundle(build(metadata="{not json"))
    for changes, words in (
        ({"format": 2}, "metadata.json, format:"),
        ({"input": {"channels": "quaternion", "normalisation": "noise"}}, "input.channels: input should be 'complex'"),
        ({"input": {"channels": "complex", "normalisation": "noise", "gamma": 2}}, "input.gamma"),
        ({"matrix": [16]}, "matrix"),
        ({"averages": ["few", "many"]}, "averages.0"),
        ({"version": None}, "version"),
    ):
        with pytest.raises(BundleError, match=words):
            Bundle(build(**changes))


def test_misfits_are_put_in_words(build) -> None:
    got = Bundle(build(averages=[5, 30]))
    assert got.misfit((16, 12)) is None
    assert got.misfit((16, 12), 5) is got.misfit((16, 12), 30) is None
    assert got.misfit((12, 16)) == "it was trained for matrix 12x16, the image is 16x12"
    for averages in (4, 31):
        assert got.misfit((16, 12), averages) == f"it was trained for 5 to 30 averages, the image has {averages}"


def test_the_bundle_with_the_widest_range_is_chosen(build) -> None:
    wide = Bundle(build(name="a.pt", averages=[10, 150]))
    early = Bundle(build(name="b.pt", averages=[5, 30], **{}))
    for order in ([wide, early], [early, wide]):
        assert choose_bundle(order, (16, 12), 20) is wide
        assert choose_bundle(order, (16, 12), 7) is early
    with pytest.raises(BundleError, match=r"tiny: .*10 to 150 averages.*; tiny: .*5 to 30"):
        choose_bundle([wide, early], (16, 12), 200)
    with pytest.raises(BundleError, match="matrix 12x16"):
        choose_bundle(iter([wide]), (80, 80), 20)
    with pytest.raises(BundleError, match="none is installed"):
        choose_bundle([], (16, 12), 20)


def test_nothing_inside_is_read_before_the_checksum(build, tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/extra/metadata.json", b" " * (64 << 20))
    assert path.stat().st_size < 1 << 17
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match="not a shipped bundle"):
            find_bundle(str(path))
        with pytest.raises(BundleError, match="checksum is"):
            find_bundle(str(path), "0" * 64)
        with pytest.raises(BundleError, match=r"metadata\.json is larger than 1 MiB"):
            Bundle(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.pt"
    with path.open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(BundleError, match="larger than 1024 MiB"):
        Bundle(path)


def test_the_list_beside_a_bundle_names_its_checksum(models: Path, tmp_path: Path) -> None:
    assert listed_checksum(models / "wide.pt") == hashlib.sha256((models / "wide.pt").read_bytes()).hexdigest()
    assert listed_checksum(models / "unlisted.pt") is listed_checksum(tmp_path / "nowhere" / "wide.pt") is None


def test_an_installed_package_offers_bundles(build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bundles_of_a_site"
    folder.mkdir()
    (folder / "__init__.py").touch()
    content = build().read_bytes()
    (folder / "tiny.pt").write_bytes(content)
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(content).hexdigest()}  tiny.pt\n")
    monkeypatch.syspath_prepend(tmp_path)
    offered = [EntryPoint("site", "bundles_of_a_site", bundle_module.GROUP)]
    monkeypatch.setattr(bundle_module, "entry_points", lambda group: offered if group == bundle_module.GROUP else [])
    assert find_bundle("tiny").path == folder / "tiny.pt"
    assert "tiny" not in {bundle.name for bundle in bundle_module.find_bundles("auto")}  # by name alone
    assert installed_checksums() == shipped_checksums() | {hashlib.sha256(content).hexdigest()}
    (folder / "tiny.pt").write_bytes(content[:-1] + b"!")
    with pytest.raises(BundleError, match="the file was changed or damaged"):
        find_bundle("tiny")
    offered[:] = [EntryPoint("site", "no_package_of_this_name", bundle_module.GROUP)]
    with pytest.raises(BundleError, match="'no_package_of_this_name' cannot be found .* install that package anew"):
        find_bundle("tiny")
    assert installed_checksums() == shipped_checksums()
