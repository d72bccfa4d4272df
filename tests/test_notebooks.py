"""The notebooks in the docs: kept without outputs, and whole. `.ci/full` executes them."""

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def code_of(path: Path) -> list[dict[str, Any]]:
    """The cells of code of a notebook."""
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_there_is_a_notebook() -> None:
    """So that the tests below look at something."""
    assert [path.name for path in NOTEBOOKS] == ["clean_up.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_have_no_outputs(path: Path) -> None:
    """What an old version printed cannot stand there, nor any data."""
    cells = code_of(path)
    assert cells
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_is_python(path: Path) -> None:
    """Each cell compiles, without magics, so that it can be copied into a script."""
    for number, cell in enumerate(code_of(path), 1):
        compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec")


def test_a_page_links_to_the_notebook() -> None:
    """The how-to links to the notebook, and says what it needs."""
    page = (FOLDER.parent / "how-to" / "notebooks.md").read_text(encoding="utf-8")
    assert all(f"../notebooks/{path.name}" in page for path in NOTEBOOKS)
    assert "'.[notebooks]'" in page
