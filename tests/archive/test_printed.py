"""The plan as text: what somebody reads before they say yes, word for word."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from archive_tools import MakeCsv, for_course, from_csv

from lms_archive import Client
from lms_archive.archive.cutting import Chunk, PlannedEnrollment, PlannedTarget, cut
from lms_archive.archive.outcomes import Skip
from lms_archive.archive.printed import printable, printed
from lms_archive.archive.terms import Terms
from lms_archive.sandbox import Sandbox

AT = datetime(2026, 3, 1, tzinfo=timezone.utc)

PLAN = r"""Plan: archive and unenroll 4 enrollments in 3 courses of http://PLATFORM
  THIS CANNOT BE UNDONE: archived enrollments cannot be restored.
  Taken: completed; learners only.
  Tracking of the training material: kept.
  A course's record holds no progress in single materials (assumed).

  target       title              to archive  chunks
  SAFE         Course 71                   2       1
  FIRE         Course 72                   1       1
  E\x1b[2JVIL  \x1b]0;x\x07\nred           1       1

Skipped: 4 rows
       2  bad_row: e.g. names no user: fill in username or user_id
       1  duplicate: asked for already in line 2: archived at most once
       1  unknown_course: no course has the code '\x1b[31mred\u202e'
Warning: up to 4 events may send notifications, one for each enrollment; consider disabling them on the platform for the time of the job (article, on learning plans)
Calls: 14 and the polls of background jobs (archive_course_enrollments 4, archived_course_enrollments 5, course_enrollments 4, list_jobs 1).
Time: at least 7 seconds. Nothing has been sent yet."""  # noqa: E501


def test_whole_plan(fresh_town: Sandbox, archivist: Client, make_csv: MakeCsv) -> None:
    """The text of a plan, with escapes for the terminal shown and not obeyed."""
    fresh_town.load(
        courses=[{"id_course": 80, "code": "E\x1b[2JVIL", "name": "\x1b]0;x\x07\nred"}],
        enrollments=[
            {
                "username": "alice",
                "course_code": "E\x1b[2JVIL",
                "enrollment_status": "completed",
            }
        ],
    )
    path = make_csv(
        "username,course_code\nalice,SAFE\nbob,SAFE\nbob,FIRE\nalice,E\x1b[2JVIL\n"
        "alice,SAFE\n,SAFE\nalice\nalice,\x1b[31mred\u202e\n"
    )
    text = str(from_csv(path).plan(archivist))
    assert text.replace(archivist.base_url, "http://PLATFORM") == PLAN
    assert text.replace("\n", "").isprintable()


def test_nothing_to_archive(reader: Client) -> None:
    """A plan of nothing says so, in the singular where it is one row."""
    plan = for_course("SAFE").users(["nobody"]).plan(reader)
    text = str(plan)
    assert text.splitlines()[0] == (
        f"Plan: archive and unenroll 0 enrollments in no target of {reader.base_url}"
    )
    assert text.splitlines()[5:] == [
        "Nothing to archive.",
        "Skipped: 1 row",
        f"       1  not_enrolled: {plan.skipped[0].reason}",
        "No calls.",
        "Time: at least 0 seconds. Nothing has been sent yet.",
    ]


def chunks_of(target_id: int, users: int, size: int, title: str = "Safety") -> list[Chunk]:
    """The chunks of one course."""
    members = [
        PlannedEnrollment(
            row=0, user_id=user, username=None, enrolled_at=AT, status="completed", level=None
        )
        for user in range(users)
    ]
    target = PlannedTarget(kind="course", target_id=target_id, code=f"C{target_id}", title=title)
    return list(cut(target, members, size=size, terms=terms(), read_at=AT))


def terms(**more: Any) -> Terms:
    """The usual terms, or others."""
    return Terms(**{"mode": "unenroll", "reset_tracking": False, "only": "completed", **more})


def text_of(**more: Any) -> list[str]:
    """The lines of a plan that is made up."""
    usual: dict[str, Any] = {
        "platform": "https://acme.example.com",
        "terms": terms(),
        "chunks": [],
        "skips": [],
        "warnings": [],
        "calls": {},
        "duration": timedelta(),
    }
    return printed(**{**usual, **more}).splitlines()


def test_terms_in_words() -> None:
    """What was decided stands there before it is done."""
    lines = text_of(terms=terms(reset_tracking=True, only="any", include_staff=True))
    assert lines[2] == "  Taken: completed, enrolled, in_progress; staff included."
    assert lines[3] == "  Tracking of the training material: RESET."


def test_large_plan_fits_the_screen() -> None:
    """Thirty courses are shown, the rest counted; numbers are parted in thousands."""
    many = [one for course in range(1, 43) for one in chunks_of(course, 450, 200)]
    lines = text_of(chunks=many, skips=[Skip(i, "bad_row", f"row {i}") for i in range(1500)])
    assert lines[0].startswith("Plan: archive and unenroll 18,900 enrollments in 42 courses of")
    assert lines[7].split() == ["C1", "Safety", "450", "3"]
    assert lines[37] == "  and 12 more"
    assert lines[39:41] == ["Skipped: 1,500 rows", "   1,500  bad_row: e.g. row 0"]
    assert len(lines) < 50


def test_long_titles_are_cut() -> None:
    """A title that does not fit is cut; the columns stay in line."""
    lines = text_of(chunks=[*chunks_of(1, 1, 200, "x" * 500), *chunks_of(2, 1, 200)])
    assert lines[7].startswith("  C1      xxxx")
    assert "x...  " in lines[7]
    assert len({len(line) for line in lines[6:9]}) == 1


def test_warnings_are_printable() -> None:
    """A warning may carry a stranger's words."""
    assert "Warning: plan \\x1b[2J changed" in text_of(warnings=["plan \x1b[2J changed"])


def test_calls_are_printable() -> None:
    """A plan's file names them: it may be a stranger's (found by fuzz)."""
    assert "(\\x1b[2J 3)" in "".join(text_of(calls={"\x1b[2J": 3}))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (89, "89 seconds"),
        (90, "2 minutes"),
        (5399, "90 minutes"),
        (9000, "2.5 hours"),
    ],
)
def test_time(seconds: int, words: str) -> None:
    """Time is told in the unit that a person would take."""
    line = text_of(duration=timedelta(seconds=seconds))[-1]
    assert line == f"Time: at least {words}. Nothing has been sent yet."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë <b>'1'</b> 日本", "Zoë <b>'1'</b> 日本"),
        ("\x1b[31m\r\n\t\x07", r"\x1b[31m\r\n\t\x07"),
        ("\u202etxt\u200b\u2028", r"\u202etxt\u200b\u2028"),
        ("\ud800\x9b", r"\ud800\x9b"),
    ],
    ids=["letters", "controls", "invisible", "half"],
)
def test_printable(text: str, shown: str) -> None:
    """Letters of every script stay; what a terminal would obey, or hide, is shown escaped."""
    assert printable(text) == shown
