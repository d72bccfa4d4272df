"""How the documentation is built: `python -m sphinx -n -W docs docs/_build/html`."""

import importlib
import re
import sys
from pathlib import Path
from typing import Any

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
html_css_files = ["pages.css"]
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


PACKAGES = ("", ".archive", ".records", ".resources", ".wire")
CREATED_BY_USERS = re.compile(
    r"Client|PasswordGrant|ClientCredentials|JwtBearer|StaticToken|Limits|RetryPolicy|ArchiveResult"
    r"|Response|RequestsTransport|ClientOptions|ChangedOptions|Sandbox|PlatformVariant"
)


def setup(app: Any) -> None:
    """Show public names, and constructors only of what users create."""
    app.connect("autodoc-process-signature", _hide_constructor)
    app.connect("autodoc-process-docstring", _shorten_types, priority=900)  # after napoleon
    app.connect("missing-reference", _link_to_public_name)


def _hide_constructor(*event: Any) -> tuple[str, str] | None:
    _, what, name, *_ = event
    hidden = what == "class" and not CREATED_BY_USERS.fullmatch(name.rpartition(".")[2])
    return ("", "") if hidden else None


def _shorten_types(*event: Any) -> None:
    lines = event[-1]
    for number, line in enumerate(lines):
        if line.startswith(":vartype "):
            lines[number] = re.sub(r"(?<![\w.~])((?:\w+\.)+\w+)", r"~\1", line)


def _link_to_public_name(app: Any, env: Any, node: Any, content: Any) -> Any:
    public = _public_names().get(node["reftarget"])
    if public is None:
        return None
    domain, builder = env.get_domain("py"), app.builder
    return domain.resolve_xref(env, node["refdoc"], builder, "obj", public, node, content)


def _public_names() -> dict[str, str]:
    """Where a class is documented, by the module that defines it."""
    names: dict[str, str] = {}
    for package in PACKAGES:
        module = importlib.import_module(f"lms_archive{package}")
        for name in module.__all__:
            defined_in = getattr(getattr(module, name), "__module__", "")
            names.setdefault(f"{defined_in}.{name}", f"{module.__name__}.{name}")
    return names


def _contract_page() -> None:
    """Write the contract's tables from the contract itself."""
    rows = ["## Operations", "", "| operation | evidence |", "|---|---|"]
    for name, row in Contract.default().operations.items():
        sent = ", ".join(f"`{name}`" for name in (*row.params.values(), *row.fixed))
        call = f"`{row.method} {row.path}`" + (f"<br>{sent}" if sent else "")
        rows.append(f"| **{name}**<br>{call} | {row.evidence} |")
    rows += ["", "## Records", "", "The JSON key of each attribute."]
    for name, keys in Contract.default().records.items():
        rows += ["", f"### {name}", "", "| attribute | JSON key |", "|---|---|"]
        for attribute, key in keys.items():
            spellings = [key] if isinstance(key, str) else key
            shown = " or ".join(f"`{spelling}`" for spelling in spellings)
            rows.append(f"| `{attribute}` | {shown} |")
    _generate("contract.md", "\n".join(rows) + "\n")


def _generate(name: str, text: str) -> None:
    folder = Path(__file__).parent / "_generated"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


_contract_page()
_generate("methods.md", tables())
