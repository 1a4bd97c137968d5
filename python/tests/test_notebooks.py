"""The notebooks of the guide run from top to bottom, and are kept small, with their pictures."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

BOOKS = sorted((Path(__file__).parent.parent.parent / "docs/notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, root, tmp_path):
    shutil.copytree(root / "tests/configs", tmp_path / "tests/configs")
    folder = tmp_path / "docs/notebooks"
    folder.mkdir(parents=True)
    book = nbformat.read(path, as_version=4)
    # A cell that raises ends the test with its traceback.
    NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    kinds = {kind for cell in book.cells for output in cell.get("outputs", []) for kind in output.get("data", {})}
    assert "image/png" in kinds


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_with_its_outputs_and_small(path):
    book = nbformat.read(path, as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)
    assert path.stat().st_size < 100_000


def test_there_are_the_five():
    names = {path.stem for path in BOOKS}
    assert names == {"first-study", "which-gpu", "where-it-breaks", "own-hardware-and-model", "nightly-diff"}


def test_no_notebook_names_a_place_of_the_machine_that_ran_it():
    for path in BOOKS:
        text = path.read_text()
        for place in ("/tmp/", "/home/", "/root/", str(Path.home())):
            assert place not in text, (path.name, place)
