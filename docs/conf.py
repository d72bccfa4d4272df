"""How the documentation is built: `python -m sphinx -n -W docs docs/_build/html`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from method_map import tables

from lms_archive import Contract, __version__

project = "lms_archive"
author = "The lms_archive founders"
project_copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
html_theme = "furo"
html_title = f"lms_archive {__version__}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
exclude_patterns = ["_build", "_generated", "examples", "notebooks"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

default_role = "code"

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Types of other projects have no page here, and the build needs no network to look them up.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!lms_archive\b).*"),
    (r"py:class", r"lms_archive\.(sandbox|archive|wire)\..*"),  # in signatures only
]


def _contract_page() -> None:
    """Write the contract's table from the contract itself."""
    rows = ["| operation | call | evidence |", "|---|---|---|"]
    for name, row in Contract.default().operations.items():
        sent = ", ".join(f"`{name}`" for name in (*row.params.values(), *row.fixed))
        call = f"`{row.method} {row.path}`" + (f"<br>{sent}" if sent else "")
        rows.append(f"| **{name}** | {call} | {row.evidence} |")
    rows += ["", "| record | attribute | JSON key |", "|---|---|---|"]
    for name, keys in Contract.default().records.items():
        for attribute, key in keys.items():
            spellings = [key] if isinstance(key, str) else key
            shown = " or ".join(f"`{spelling}`" for spelling in spellings)
            rows.append(f"| {name} | `{attribute}` | {shown} |")
    _generate("contract.md", "\n".join(rows) + "\n")


def _generate(name: str, text: str) -> None:
    folder = Path(__file__).parent / "_generated"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


_contract_page()
_generate("methods.md", tables())
