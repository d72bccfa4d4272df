"""The tour of the house is true: a row passes the functions that it names, in that order."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from conftest import quick_client

import lms_archive
from lms_archive import ArchiveJob
from lms_archive.sandbox import Sandbox

TOUR = Path(__file__).parent.parent / "docs" / "explanation" / "tour.md"
STOREYS = "archive|client|records|resources|wire"


def named() -> list[str]:
    """Every dotted name of the page, in order."""
    text = TOUR.read_text(encoding="utf-8")
    return re.findall(rf"`((?:{STOREYS})\.[\w.]+)`", text)


def found(name: str) -> Any:
    """What a dotted name of the page stands for."""
    steps = name.split(".")
    thing: Any = lms_archive
    for number, step in enumerate(steps):
        before, thing = thing, vars(thing).get(step)
        if thing is None and isinstance(before, type(lms_archive)):
            thing = importlib.import_module(f"lms_archive.{'.'.join(steps[: number + 1])}")
        assert thing is not None, f"{name}: there is no {step}"
    return thing


def code_of(thing: Any) -> CodeType | None:
    """The code of a function, however it is wrapped; None of a class or module."""
    thing = getattr(thing, "fget", None) or thing
    thing = getattr(thing, "__func__", thing)
    thing = getattr(thing, "__wrapped__", thing)
    code = getattr(thing, "__code__", None)
    return code if isinstance(code, CodeType) else None


def test_everything_on_the_tour_exists() -> None:
    """Each name of the page is a function, class or module of the package."""
    names = named()
    assert len(names) > 40
    assert all(found(name) is not None for name in names)


def test_a_row_passes_the_functions_of_the_tour(tmp_path: Path) -> None:
    """The functions named up to the outcome are called for a row, one after the other."""
    csv = tmp_path / "inactive.csv"
    csv.write_text("username,course_code\nada,SAFE\n", encoding="utf-8")
    passed: list[CodeType] = []

    def look(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            passed.append(frame.f_code)

    with Sandbox(job_seconds=0) as sandbox, quick_client(sandbox) as client:
        sandbox.load(
            users=[{"username": "ada"}],
            courses=[{"code": "SAFE"}],
            enrollments=[
                {
                    "username": "ada",
                    "course_code": "SAFE",
                    "enrollment_status": "completed",
                    "enrollment_created_at": "2025-01-02 03:04:05",
                }
            ],
        )
        before = sys.getprofile()
        sys.setprofile(look)
        try:
            job = ArchiveJob.from_csv(csv, mode="unenroll", reset_tracking=False)
            result = job.plan(client).apply(client, ledger=tmp_path / "a.sqlite")
            (outcome,) = result.outcomes
        finally:
            sys.setprofile(before)
    assert outcome.kind == "archived"
    way = iter(passed)
    on_the_way = TOUR.read_text(encoding="utf-8").partition("## What is not on the way")[0]
    for name in named():
        code = code_of(found(name))
        if f"`{name}`" in on_the_way and code is not None:
            assert any(one is code for one in way), f"{name} is not passed after what stands before"
