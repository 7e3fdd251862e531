from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nadenoise_core.configuration import parse_document
from training.config import Config, config_from_plain, find_config, load_config, parse_config, shipped_configs
from training.errors import ConfigError

MINIMAL = """\
data:
  source:
    kind: dicom
    folder: here
  cache: cache.h5
pairs:
  kind: paper
"""
PLAIN = parse_config(MINIMAL).plain()


def refusal(text: str, *assignments: str) -> str:
    with pytest.raises(ConfigError) as caught:
        document = parse_document(text, "my.yaml")
        for assignment in assignments:
            document = document.with_value(assignment)
        from training.config import check_document

        check_document(document)
    return str(caught.value)


def keys_of(values: dict[str, Any], above: str = "") -> list[str]:
    found = []
    for name, value in values.items():
        found += keys_of(value, f"{above}{name}.") if isinstance(value, dict) else [above + name]
    return found


@pytest.mark.parametrize("name", ["paper_fastmri", "paper_synthetic", "noise_aware"])
def test_shipped_configurations_are_complete_and_commented(name: str) -> None:
    path = find_config(name)
    text = path.read_text()
    assert keys_of(yaml.safe_load(text)) == keys_of(load_config(path).plain())
    assert text.startswith("# ") and text.count("#") > 30


def test_the_papers_settings_are_the_default() -> None:
    shipped = load_config(find_config("paper_fastmri"))
    assert shipped.pairs == parse_config(MINIMAL).pairs
    assert shipped.network == parse_config(MINIMAL).network
    assert shipped.loss == parse_config(MINIMAL).loss
    assert shipped.fit == parse_config(MINIMAL).fit
    assert (shipped.fit.epochs, shipped.fit.batch, shipped.fit.learning_rate) == (100, 16, 1e-4)
    split = shipped.data.split
    assert (split.train, split.validation, split.test) == (0.55, 0.20, 0.25)
    assert load_config(find_config("paper_synthetic")).fit == shipped.fit


def test_a_configuration_survives_json() -> None:
    for path in shipped_configs().values():
        config = load_config(path)
        assert config_from_plain(json.loads(json.dumps(config.plain())), "bundle") == config


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  cache:", "  cahce:", ["my.yaml:5", "no key data.cahce", "did you mean 'cache'"]),
        ("kind: dicom", "kind: dicm", ["my.yaml:3", "data.source.kind is 'dicm'", "nifti", "did you mean 'dicom'"]),
        ("folder: here", "folder: 3", ["my.yaml:4", "data.source.folder is 3", "text"]),
        ("    folder: here\n", "", ["my.yaml:2", "data.source.folder is missing"]),
        ("folder: here", "folder: here\n    description: (", ["my.yaml:5", "regular expression"]),
        ("folder: here", "folder: here\n    slices: many", ["my.yaml:5", "is 'many'", "a whole number from 0"]),
        ("kind: paper", "kind: paper\n  averages: 0", ["my.yaml:8", "pairs.averages is 0", "from 1 to 10000"]),
        ("kind: paper", "kind: paper\n  averages: true", ["my.yaml:8", "pairs.averages is true"]),
        ("kind: paper", "kind: paper\n  disc_inset: [9]", ["my.yaml:8", "[9]", "a list of 2 whole numbers"]),
        ("kind: paper", "kind: paper\n  disc_inset: [15, 9]", ["my.yaml:8", "must not be above the second"]),
        ("kind: paper", "kind: paper\n  disc_inset: [0, 9]", ["my.yaml:8", "2 whole numbers from 1"]),
        ("kind: paper", "kind: paper\n  noise_share: .nan", ["my.yaml:8", "NaN"]),
        ("kind: paper", "kind: paper\n  batch: 3", ["my.yaml:8", "did you mean 'fit.batch'"]),
        ("kind: paper", "kind: quantitative", ["loss.name paper needs pairs.kind paper, not quantitative"]),
        ("kind: paper", "kind: [", ["my.yaml:8", "is not YAML"]),
        ("kind: paper", "kind: paper\n  kind: paper", ["my.yaml:8", "pairs.kind is there twice"]),
        ("pairs:\n  kind: paper", "pairs: paper", ["my.yaml:6", "pairs is 'paper'", "kind: paper, quantitative"]),
        ("pairs:\n  kind: paper", "pairs: {averages: 3}", ["my.yaml:6", "pairs.kind is missing"]),
        ("pairs:\n  kind: paper\n", "", ["my.yaml", "pairs is missing"]),
    ],
)
def test_a_wrong_key_or_value_is_told_with_its_line(old: str, new: str, words: list[str]) -> None:
    assert old in MINIMAL
    message = refusal(MINIMAL.replace(old, new, 1))
    for word in words:
        assert word in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        (["fit.bacth=3"], ["--set fit.bacth", "did you mean 'batch'"]),
        (["network.tail=papr"], ["network.tail is 'papr'", "paper, reference", "did you mean 'paper'"]),
        (["fit.micro_batch=5"], ["batch 16 is no multiple of micro_batch 5"]),
        (["data.split.train=0.9"], ["0.9 + 0.2 + 0.25 must be 1"]),
        (["fit.learning_rate=-1e-4"], ["fit.learning_rate is -0.0001", "above 0"]),
        (["fit.minutes=soon"], ["a number above 0 or null"]),
        (["fit.device=gpu"], ["cuda:N"]),
        (["fit"], ["key=value"]),
        (["fit.seed=["], ["is not YAML"]),
    ],
)
def test_a_wrong_assignment_is_told(assignments: list[str], words: list[str]) -> None:
    message = refusal(MINIMAL, *assignments)
    for word in words:
        assert word in message


def test_values_can_be_set_on_top_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(MINIMAL)
    config = load_config(path, ["fit.learning_rate=1e-3", "pairs.cap=null", "data.source.folder=elsewhere"])
    assert config.fit.learning_rate == 1e-3 and config.pairs.cap is None
    assert str(config.data.source.folder) == "elsewhere"  # type: ignore[union-attr]
    assert load_config(path).fit.learning_rate == 1e-4


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff\xfe\x00", b"a: \x01", b"a: &x [*x]", b"[" * 5000])
def test_what_is_no_configuration_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="my.yaml"):
        load_config(path)


def test_an_unknown_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'paper_fastmri'"):
        find_config("paper_fastmi")
    with pytest.raises(ConfigError, match="no such file"):
        find_config(str(tmp_path / "my.yaml"))


def test_differences_name_the_key() -> None:
    first, second = parse_config(MINIMAL), parse_config(MINIMAL + "fit: {seed: 9, epochs: 3}\n")
    assert first.differences(second, ["fit.epochs"]) == ["fit.seed is 7 here, 9 there"]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    for given_text in (text, MINIMAL + text):
        try:
            parse_config(given_text)
        except ConfigError as error:
            assert "configuration" in str(error)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(keys_of(PLAIN))), st.integers(0, 20), st.sampled_from("qxz"))
def test_a_misspelt_key_is_found_on_its_line_with_the_right_name(key: str, at: int, letter: str) -> None:
    name = key.rpartition(".")[2]
    at %= len(name) + 1
    wrong = name[:at] + letter + name[at:]
    lines = yaml.safe_dump(PLAIN, sort_keys=False).splitlines()
    section: list[str] = []
    for number, line in enumerate(lines):
        depth = (len(line) - len(line.lstrip())) // 2
        if line.lstrip().startswith("- "):
            continue
        section = [*section[:depth], line.strip().partition(":")[0]]
        if ".".join(section) == key:
            lines[number] = line.replace(f"{name}:", f"{wrong}:", 1)
            break
    message = refusal("\n".join(lines))
    if name == "kind":
        assert "kind is missing" in message
    else:
        assert f"my.yaml:{number + 1}: there is no key" in message and f"did you mean '{name}'" in message


numbers = st.floats(1e-6, 1e6)


@settings(max_examples=40, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "epochs": st.integers(1, 10**6),
            "minutes": st.none() | numbers,
            "learning_rate": numbers,
            "clip": st.none() | numbers,
            "schedule": st.sampled_from(["constant", "cosine"]),
            "freeze_statistics": st.none() | st.floats(0, 0.999),
            "seed": st.integers(0, 2**31),
        }
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20),
)
def test_what_is_written_is_read(fit: dict[str, Any], folder: str) -> None:
    plain = {**PLAIN, "fit": {**PLAIN["fit"], **fit}}
    plain["data"] = {**plain["data"], "source": {**plain["data"]["source"], "folder": folder}}
    config = parse_config(yaml.safe_dump(plain, allow_unicode=True))
    assert {name: getattr(config.fit, name) for name in fit} == pytest.approx(fit)
    assert str(config.data.source.folder) == str(Path(folder))  # type: ignore[union-attr]
    assert Config.model_validate_json(json.dumps(config.plain()), strict=True) == config


def test_numbers_are_those_of_yaml_1_2() -> None:
    document = parse_document("a: 1e-4\nb: no\nc: 010\nd: 2020-01-01\ne: .5\nf: -.inf\ng: '3'\nh:\n", "x")
    values = [1e-4, "no", 10, "2020-01-01", 0.5, float("-inf"), "3", None]
    assert list(document.data.values()) == values
    assert re.fullmatch(r"x:4", document.place(("d",)))
