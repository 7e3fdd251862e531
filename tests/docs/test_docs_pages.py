"""README and documentation: every command and every Python block runs, every link leads somewhere, the site builds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs_build.blocks import ROOT, RUN_LANGUAGES, blocks_of, pages
from docs_build.session import BlockError, commands_of, parse, run_page

PAGES = pages()


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_runs(page):
    run_page(page)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_is_not_run_is_parsed(page):
    left_out = [block for block in blocks_of(page.read_text()) if block.is_left_out]
    for block in left_out:
        if block.language == "python":
            compile(block.text, f"{name(page)}:{block.line}", "exec")
        for words in commands_of(block.text) if block.language == "sh" else ():
            parse(words)
    if left_out:  # counted and shown by pytest
        pytest.skip(f"{len(left_out)} blocks not run: {'; '.join(f'{b.line} {b.reason}' for b in left_out)}")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_in_sentences_are_there(page):
    sentences = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for span in re.findall(r"`(nadenoise(?:-train)? [a-z][^`]*)`", sentences):
        for words in commands_of(" ".join(span.split())):
            try:
                parse(words)
            except BlockError as error:  # a sentence need not name every argument
                assert "Missing argument" in str(error) or "Missing option" in str(error), f"{span}: {error}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_command_hides_in_a_block_that_nothing_runs(page):
    text = page.read_text()
    for block in blocks_of(text):
        assert block.language, f"{name(page)}:{block.line}: a fence names its language"
        if block.language not in RUN_LANGUAGES:
            assert not block.reason and not re.search(r"^(\$ )?(nadenoise|pip|make|import) ", block.text, re.MULTILINE)
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    hidden = re.findall(r"^ {4,}(?:nadenoise|make|pip|python|docker|\$) .*", outside, re.MULTILINE)
    assert not hidden, f"{name(page)}: use a fence with a language: {hidden}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent == ROOT], ids=name)
def test_links_of_pages_outside_the_site_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if not re.match(r"[a-z]+:", link) and not (page.parent / link).exists()]
    assert links and not missing


class TestRunner:
    """What finds faults in pages finds them."""

    @pytest.fixture
    def written(self, tmp_path, monkeypatch):
        monkeypatch.setattr("docs_build.session.ROOT", tmp_path)

        def write(text: str) -> Path:
            path = tmp_path / "page.md"
            path.write_text(text)
            return path

        return write

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("# A\n\n```python\n1 / 0\n```\n", r"page.md:4.*\n(.*\n)*.*line 4.*\n(.*\n)*ZeroDivisionError"),
            ("```sh\nnadenoise chain lst\n```\n", "No such command 'lst'"),
            ("```sh\nnadenoise chain show no_such\n```\n", "no_such"),
            ("```sh\nfalse | true\n```\n", "status 1"),
            ("1. a\n\n    ```sh\n    nadenoise version --no\n    ```\n", "No such option"),
            ("```sh\nmake nothing\n```\n", "nothing"),
        ],
    )
    def test_a_block_that_fails_is_told_with_its_place(self, text, words, written):
        with pytest.raises(BlockError, match=words) as raised:
            run_page(written(text))
        assert str(raised.value).startswith("page.md:")

    def test_blocks_of_a_page_share_folder_and_names(self, written):
        page = written(
            "```sh\nnadenoise chain show sodium_calf > c.xml\n```\n"
            "```python\nfrom pathlib import Path\nx = Path('c.xml').read_text()\n```\n"
            "<!-- not run: why -->\n```sh\nfalse\n```\n```python\nprint(len(x) > 100)\n```\n"
        )
        ran = run_page(page)
        assert list(ran.outputs.values()) == ["", "", "True\n"] and (ran.folder / "c.xml").is_file()

    def test_commands_are_found_wherever_they_stand(self):
        text = 'x="$(nadenoise a --b)" | nadenoise stream --c d < in &\nnadenoise-train fit \\\n  m.yaml  # nadenoise\n'
        expected = [
            ["nadenoise", "a", "--b"],
            ["nadenoise", "stream", "--c", "d"],
            ["nadenoise-train", "fit", "m.yaml"],
        ]
        assert list(commands_of(text)) == expected

    def test_a_command_is_parsed_to_its_last_option(self):
        parse(["nadenoise", "study", "run", "paper", "--jobs", "2"])
        for wrong in (["chain", "lst"], ["replay", "a.h5", "--otu", "x"], ["simulate"], ["serve", "--port", "x"]):
            with pytest.raises(BlockError):
                parse(["nadenoise", *wrong])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built strictly: a dead link or a warning ends it. Tutorials ran above, and are not run again."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder))
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    config.plugins.on_shutdown()
    return folder


class TestSite:
    def test_every_gadget_property_and_bundle_is_in_the_reference(self, site):
        from nadenoise_core.chain.registry import gadget_class, gadget_names
        from nadenoise_core.denoise.bundle import shipped_bundles

        gadgets = (site / "reference" / "gadgets.html").read_text()
        for gadget in gadget_names():
            assert f'<h2 id="{gadget}">' in gadgets
            assert all(f"<code>{name}</code>" in gadgets for name in gadget_class(gadget).Parameters.model_fields)
        bundles = (site / "reference" / "bundles.html").read_text()
        assert all(bundle.sha256 in bundles for bundle in shipped_bundles())

    def test_nothing_is_fetched_from_elsewhere(self, site):
        for page in site.rglob("*.html"):
            fetched = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(https?://[^"]+)"', page.read_text())
            assert not fetched, f"{page.name}: {fetched}"
