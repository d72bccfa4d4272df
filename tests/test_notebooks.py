"""The notebook in the docs: kept without outputs, and whole. `.ci/full` executes it."""

import json
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def test_the_notebook_has_no_outputs_and_each_cell_is_python() -> None:
    """What an old version printed cannot be in it, nor any data, nor magics."""
    (path,) = (DOCS / "notebooks").glob("*.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    for number, cell in enumerate(code, 1):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
        compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec")


def test_a_page_links_to_the_notebook() -> None:
    """The how-to links to the notebook, and says what it needs."""
    page = (DOCS / "how-to" / "notebooks.md").read_text(encoding="utf-8")
    assert "../notebooks/clean_up.ipynb" in page
    assert "'.[notebooks]'" in page
