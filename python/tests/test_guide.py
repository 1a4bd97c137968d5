"""The guide and the package's README run as they are written."""

import re
import shutil
from pathlib import Path

import pytest

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["docs/python.md", "python/README.md"])
def test_a_page_runs_from_top_to_bottom(page, root, tmp_path, monkeypatch):
    for folder in ("sweeps", "tests/configs"):
        shutil.copytree(root / folder, tmp_path / folder)
    text = (root / page).read_text()
    monkeypatch.chdir(tmp_path)
    blocks = list(BLOCK.finditer(text))
    assert blocks
    names = {}
    for block in blocks:
        # Lines of a traceback are those of the page.
        line = text[: block.start(1)].count("\n")
        exec(compile("\n" * line + block[1], str(Path(page)), "exec"), names)


def test_every_link_of_the_guide_leads_somewhere(root):
    for page in ("docs/python.md", "python/README.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", (root / page).read_text()):
            assert (root / page).parent.joinpath(target).exists(), (page, target)
