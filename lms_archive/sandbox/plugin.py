"""The pytest plugin with the fixture `lms_sandbox` (entry point `pytest11`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lms_archive.sandbox import Sandbox


@pytest.fixture
def lms_sandbox() -> Iterator[Sandbox]:
    """Start an empty sandbox for one test."""
    from lms_archive.sandbox import Sandbox  # noqa: PLC0415  only for tests that ask for it

    with Sandbox() as sandbox:
        yield sandbox
