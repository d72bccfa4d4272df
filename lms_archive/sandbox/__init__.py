"""The sandbox: a simulated platform for tutorials and tests, an HTTP server over a SQLite file.

It follows the rules of the platform, and shares no code with the library: only `Sandbox.client()`
creates a client. `Sandbox` is imported at its first use, because the pytest plugin in this package
is imported in every test run of every user who installed the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lms_archive.sandbox.faults import Faults
from lms_archive.sandbox.variant import PlatformVariant

if TYPE_CHECKING:
    from lms_archive.sandbox.platform import Sandbox

__all__ = ["Faults", "PlatformVariant", "Sandbox"]


def __getattr__(name: str) -> object:
    """Import `Sandbox`, or raise an error that names the missing extra."""
    if name != "Sandbox":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from lms_archive.sandbox.platform import Sandbox  # noqa: PLC0415  needs an extra
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "werkzeug":
            raise
        raise ImportError(
            "the sandbox needs werkzeug: pip install 'lms-archive[sandbox]'"
        ) from error
    return Sandbox
