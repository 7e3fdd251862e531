"""Chain files: what is read, and what is told of every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree

from nadenoise_core.chain.chain import check_runs_here
from nadenoise_core.chain.files import chain_files, find_chain, read_chain, read_node
from nadenoise_core.chain.registry import gadget_class, gadget_names
from nadenoise_core.errors import ChainError

EXECUTE = '<execute name="gadgets" target="chain" type="python"/>'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.xml"
    path.write_text(text)
    return path


def document(stream: str, version: str = "<version>2</version>") -> str:
    """A chain file whose `stream` begins in line 4."""
    return f"<configuration>\n{version}\n<stream>\n{stream}\n</stream>\n</configuration>\n"


def node(inside: str) -> str:
    """A node of ours; `inside` begins in line 6 of the document."""
    return f"<external>{EXECUTE}\n<configuration>\n{inside}\n</configuration></external>"


def values(chain) -> list[dict[str, str]]:
    return [{name: given.value for name, given in stage.properties.items()} for stage in chain.stages]


class TestReading:
    def test_files_are_those_beside_the_chain(self, tmp_path):
        """What is written lies where the program runs; what is read lies beside the file that names it."""
        stages = (
            '<gadget name="accumulate"/><gadget name="reconstruct"/><gadget name="quantify">'
            '<property name="roi_map" value="maps/leg.nii"/><property name="b1_map" value="/data/b1.nii"/></gadget>'
            '<gadget name="deliver"><property name="folder" value="dicom"/></gadget>'
        )
        *_, quantify, deliver = values(read_chain(write(tmp_path, document(node(stages)))))
        assert quantify == {"roi_map": str(tmp_path / "maps" / "leg.nii"), "b1_map": "/data/b1.nii"}
        assert deliver == {"folder": "dicom"}

    def test_both_forms_of_a_property_are_one(self, tmp_path):
        short = '<gadget name="accumulate"><property name="emit_at" value=" 5, 10 "/></gadget>'
        long = '<gadget name="accumulate"><property><name>emit_at</name>\n<value> 5, 10\n</value></property></gadget>'
        read = [read_chain(write(tmp_path, document(node(form)))) for form in (short, long)]
        assert values(read[0]) == values(read[1]) == [{"emit_at": "5, 10"}]
        assert read[0].stages[0].parameters().emit_at == read[1].stages[0].parameters().emit_at == (5, 10)

    def test_comments_and_instructions_are_no_elements(self, tmp_path):
        text = document(
            "<!-- stream --><?note x?>"
            + node(
                '<!-- node --><gadget name="accumulate"><!-- gadget --><property name="rise_time" value="9">'
                "<!-- property --></property></gadget><?note y?>"
            )
            + "<!-- end -->"
        )
        chain = read_chain(write(tmp_path, f"<!-- before -->{text}<!-- after -->"))
        assert chain.foreign == () and chain.nodes == 1
        assert values(chain) == [{"rise_time": "9"}]

    def test_several_nodes_are_one_chain(self, tmp_path):
        connect = (
            '<external><connect port="18000"/><configuration><gadget name="reconstruct"/></configuration></external>'
        )
        chain = read_chain(write(tmp_path, document(node('<gadget name="accumulate"/>') + "\n" + connect)))
        assert [stage.name for stage in chain.stages] == ["accumulate", "reconstruct"]
        assert chain.nodes == 2 and chain.foreign == ()
        check_runs_here(chain)

    def test_what_only_the_server_runs_is_named_with_its_line(self, tmp_path):
        foreign = "<gadget><name>n</name><dll>gadgetron_mricore</dll><classname>NoiseAdjustGadget</classname></gadget>"
        other = '<external><execute name="somebody_elses" target="recon" type="python"/><configuration/></external>'
        ours = node('<gadget name="accumulate"/>')
        chain = read_chain(write(tmp_path, document(f"{foreign}\n{ours}\n{other}")))
        assert [stage.name for stage in chain.stages] == ["accumulate"]
        (line, words), (other_line, _) = chain.foreign
        assert line == 4 and "NoiseAdjustGadget" in words and "gadgetron_mricore" in words
        assert other_line == 9
        with pytest.raises(ChainError, match=r"mine\.xml:4: .*NoiseAdjustGadget.*Gadgetron server only"):
            check_runs_here(chain)

    def test_cpp_stages_may_give_what_a_stage_takes(self, tmp_path):
        foreign = "<gadget><dll>gadgetron_mricore</dll><classname>BucketToBufferGadget</classname></gadget>"
        assert read_chain(write(tmp_path, document(foreign + node('<gadget name="reconstruct"/>')))).stages

    def test_every_shipped_chain_is_read(self):
        assert "sodium_calf" in [path.stem for path in chain_files()]
        for path in chain_files():
            assert read_chain(path).stages and find_chain(path.stem) == path

    def test_a_chain_is_described_with_every_property(self, tmp_path):
        chain = read_chain(write(tmp_path, document(node('<gadget name="accumulate"/>'))))
        (described,) = chain.describe()
        assert set(described) == {"gadget", *gadget_class("accumulate").Parameters.model_fields}

    def test_a_property_is_set_in_a_copy(self, tmp_path):
        chain = read_chain(write(tmp_path, document(node('<gadget name="accumulate"/>'))))
        assert chain.with_property("accumulate", "emit_at", "7").stages[0].parameters().emit_at == (7,)
        assert chain.stages[0].parameters().emit_at == ()

    def test_a_node_as_gadgetron_sends_it(self):
        sent = b'<?xml version="1.0"?>\n<configuration><gadget name="denoise"/></configuration>\n\0'
        assert [stage.name for stage in read_node(sent).stages] == ["denoise"]

    @pytest.mark.parametrize(
        "declared",
        ["<!DOCTYPE c>", '<!DOCTYPE c SYSTEM "file:///etc/hostname">', '<!DOCTYPE c [<!ENTITY e "5">]>',
         '<!DOCTYPE c [<!ENTITY e SYSTEM "file:///etc/hostname">]>'],
    )  # fmt: skip
    def test_a_document_type_is_refused(self, declared, tmp_path):
        inside = '<gadget name="accumulate"><property><name>emit_at</name><value>1&e;0</value></property></gadget>'
        inside = inside if "ENTITY" in declared else inside.replace("&e;", "")
        with pytest.raises(ChainError, match=r"mine\.xml: has a <!DOCTYPE>.*take it out"):
            read_chain(write(tmp_path, declared + document(node(inside))))
        with pytest.raises(ChainError, match="configuration: has a <!DOCTYPE>"):
            read_node(f"{declared}<configuration>{inside}</configuration>".encode())

    @pytest.mark.parametrize("stages", [33, 40_000])
    def test_a_chain_of_too_many_stages_is_refused(self, stages, tmp_path):
        inside = '<gadget name="prewhiten"/>' * stages
        with pytest.raises(ChainError, match=r"there are .* stages; a chain may have 32|larger than 1 MiB"):
            read_chain(write(tmp_path, document(node(inside))))
        with pytest.raises(ChainError, match=r"there are .* stages; a chain may have 32|larger than 1 MiB"):
            read_node(f"<configuration>{inside}</configuration>".encode())

    def test_a_chain_may_have_32_stages(self):
        inside = '<gadget name="prewhiten"/>' * 32
        assert len(read_node(f"<configuration>{inside}</configuration>".encode()).stages) == 32

    def test_a_large_document_is_refused_before_it_is_parsed(self, tmp_path):
        path = write(tmp_path, document(node('<gadget name="accumulate"/>')) + " " * (1 << 20))
        with pytest.raises(ChainError, match="larger than 1 MiB"):
            read_chain(path)
        with pytest.raises(ChainError, match="larger than 1 MiB"):
            read_node(b"<configuration>" * (1 << 17))


def stage(name: str, **properties: str) -> str:
    inside = "\n".join(f'<property name="{key}" value="{value}"/>' for key, value in properties.items())
    return f'<gadget name="{name}">\n{inside}\n</gadget>'


class TestMistakes:
    """Every message is one line, begins with file and line, and says what to write instead."""

    @pytest.mark.parametrize(
        ("text", "line", "words"),
        [
            ("<configuration>\n<version>2</version>\n", 3, ["not well-formed XML"]),
            ("", 1, ["not well-formed XML"]),
            ("<gadgetronStreamConfiguration/>", 1, ["<gadgetronStreamConfiguration>", "<configuration>"]),
            (document("", version=""), 1, ["<version> is missing", "<version>2</version>"]),
            (document("", version="<version>1</version>"), 1, ["<version> is 1"]),
            ("<configuration><version>2</version></configuration>", 1, ["0 <stream>", "write one"]),
            (document("</stream><stream>"), 1, ["2 <stream>"]),
            (document(""), None, ["no stage of nadenoise", '<execute name="gadgets"']),
            (document(f"<external>{EXECUTE}</external>"), 4, ["no <configuration>"]),
            (
                document(node('<gadget name="accumulate"/>').replace('"chain"', '"chian"')),
                4,
                ["cannot start this node", 'target="chain"'],
            ),
            (document(node("")), 4, ["<configuration> is empty"]),
            (document(node("<gadgets/>")), 6, ["<gadgets> here", '<gadget name="...">']),
            (document(node("<gadget/>")), 6, ["<gadget> here"]),
            (document(node('<gadget name="denoize"/>')), 6, ["no gadget 'denoize'", "did you mean 'denoise'?"]),
            (document(node('<gadget name="xyz"/>')), 6, ["no gadget 'xyz'", "accumulate", "quantify"]),
            (document(node('<gadget name="accumulate">\n<props/></gadget>')), 7, ["<props> here", "<property"]),
            (document(node('<gadget name="accumulate">\n<property name="a"/></gadget>')), 7, ["<property> here"]),
            (document(node('<gadget name="accumulate">\n<property value="a"/></gadget>')), 7, ["<property> here"]),
            (
                document(node(stage("accumulate", emmit_at="5"))),
                7,
                ["gadget 'accumulate'", "there is no property emmit_at", "did you mean 'emit_at'?"],
            ),
            (
                document(
                    node(
                        '<gadget name="accumulate">\n<property name="emit_at" value="5"/>\n'
                        '<property name=" emit_at" value="6"/></gadget>'
                    )
                ),
                8,
                ["property 'emit_at' twice"],
            ),
            (document(node(stage("accumulate", emit_at="5, x"))), 7, ["emit_at is '5, x'", "up to 256 whole numbers"]),
            (document(node(stage("accumulate", emit_at="10, 5"))), 7, ["emit_at is '10, 5'", "larger than the one"]),
            (document(node(stage("accumulate", emit_at="0"))), 7, ["emit_at is '0'", "whole numbers from 1"]),
            (document(node(stage("accumulate", rise_time="-1"))), 7, ["rise_time is '-1'", "to 1000 us per mT/m"]),
            (document(node(stage("accumulate", rise_time="nan"))), 7, ["rise_time is 'nan'"]),
            (document(node(stage("accumulate", max_gradient="1e9"))), 7, ["from 0.1 to 500 mT/m"]),
            (
                document(node(stage("accumulate", trajectory="spirale"))),
                7,
                ["trajectory is 'spirale'", "allowed is acquisition, spiral", "did you mean 'spiral'?"],
            ),
            (document(node(stage("accumulate", correct_half_pulse_phase="perhaps"))), 7, ["allowed is true or false"]),
            (
                document(node('<gadget name="accumulate"/><gadget name="reconstruct"/>' + stage("denoise", bundle=""))),
                7,
                ["gadget 'denoise': bundle is ''"],
            ),
            (
                document(node('<gadget name="accumulate"/>\n<gadget name="denoise"/>')),
                7,
                ["'denoise' takes Image", "accumulate, reconstruct, denoise"],
            ),
        ],
    )  # fmt: skip
    def test_is_told(self, text, line, words, tmp_path):
        path = write(tmp_path, text)
        with pytest.raises(ChainError) as caught:
            read_chain(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: " if line is None else f"{path}:{line}: ")
        assert "\n" not in message
        assert all(part in message for part in words), message

    def test_of_a_rule_between_properties_is_told(self, tmp_path):
        stages = '<gadget name="accumulate"/><gadget name="reconstruct"/>\n' + stage("quantify", tube_positions="1, 2")
        with pytest.raises(ChainError, match=r"mine\.xml:8: gadget 'quantify': tube_positions has 2 numbers; 5 tubes"):
            read_chain(write(tmp_path, document(node(stages))))

    def test_a_node_with_a_mistake_is_refused(self):
        with pytest.raises(ChainError, match="configuration:2: .*did you mean 'method'"):
            read_node(b'<configuration><gadget name="reconstruct">\n<property name="metod" value="x"/></gadget>'
                      b"</configuration>")  # fmt: skip
        for empty in (b"", b'<?xml version="1.0"?>', b"<configuration/>"):
            with pytest.raises(ChainError):
                read_node(empty)

    def test_an_unknown_chain_is_told_with_a_suggestion(self):
        with pytest.raises(ChainError, match="did you mean 'sodium_calf'"):
            find_chain("sodium_clf")
        with pytest.raises(ChainError, match="no such chain file"):
            find_chain("nowhere/chain.xml")

    def test_a_folder_is_no_chain(self, tmp_path):
        (tmp_path / "folder.xml").mkdir()
        with pytest.raises(ChainError, match="cannot be read"):
            read_chain(tmp_path / "folder.xml")


names = st.sampled_from([*gadget_names(), "gadget", "", "acumulate"])
properties = st.sampled_from(
    sorted({field for name in gadget_names() for field in gadget_class(name).Parameters.model_fields})
)
text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
given_values = text | st.sampled_from(["1, 2", "nan", "-inf", "1e400", "true", "auto", "cuda:9", "0x10", ",", "1,,2"])
elements = st.sampled_from(
    ["configuration", "version", "stream", "external", "execute", "connect", "gadget", "property", "name", "value", "x"]
)
attributes = st.dictionaries(st.sampled_from(["name", "value", "target"]), names | text, max_size=2)
trees = st.recursive(
    st.tuples(elements, attributes, st.just(())),
    lambda inner: st.tuples(elements, attributes, st.lists(inner, max_size=4)),
    max_leaves=12,
)


def to_element(tree) -> etree._Element:
    tag, given_attributes, children = tree
    element = etree.Element(tag, given_attributes)
    element.extend(to_element(child) for child in children)
    return element


def only_chain_errors(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for read in (lambda: read_chain(path), lambda: read_node(content)):
        try:
            read()
        except ChainError as error:
            assert len(str(error).splitlines()) == 1


class TestAnyInput:
    """Whatever a file holds, it is a chain or a ChainError."""

    @given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
    @example(b"<\0")  # libxml2 says so in two lines
    @settings(max_examples=60, deadline=None)
    def test_bytes(self, tmp_path_factory, content):
        only_chain_errors(tmp_path_factory.getbasetemp() / "any.xml", content)

    @given(trees)
    @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_elements(self, tmp_path_factory, tree):
        path = tmp_path_factory.getbasetemp() / "any.xml"
        content = etree.tostring(to_element(tree))
        only_chain_errors(path, content)
        only_chain_errors(path, document("%s").encode() % content)

    @given(names, properties | text, given_values)
    @settings(max_examples=150, deadline=None)
    def test_properties(self, tmp_path_factory, name, key, value):
        gadget = etree.Element("gadget", {"name": name})
        etree.SubElement(gadget, "property", {"name": key, "value": value})
        only_chain_errors(
            tmp_path_factory.getbasetemp() / "any.xml", document(node(etree.tostring(gadget).decode())).encode()
        )


@pytest.mark.parametrize("name", gadget_names())
def test_every_property_is_described_and_has_a_default(name):
    fields = gadget_class(name).Parameters.model_fields
    assert all(len(field.description or "") > 10 for field in fields.values())
    assert not [field_name for field_name, field in fields.items() if field.is_required()]
    assert gadget_class(name).Parameters()
    assert gadget_class(name).name() == name and (gadget_class(name).__doc__ or "").strip()
