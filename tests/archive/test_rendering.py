"""What people read: plain English and plain tables, escaped, with the true counts.

Text and HTML are two forms of the same summary.
"""

import re
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import Any

import attrs
import pytest
from archive_tools import MakeCsv, for_course, from_csv, from_rows
from virtual_time import Harness

from lms_archive import Client
from lms_archive.errors import printable
from lms_archive.sandbox import Sandbox
from lms_archive.tables.html import bar, block, line, table
from lms_archive.wire import ContractReport, OperationCheck

SCRIPT = "<script>alert(1)</script>"
#: Texts of strangers, and how each is shown.
HOSTILE = {
    SCRIPT: SCRIPT,
    "\"><img src=x onerror='alert(1)'>": "\"><img src=x onerror='alert(1)'>",
    "&lt;b&gt; & <b>bold</b>": "&lt;b&gt; & <b>bold</b>",
    "esc\x1b[31mred\x07": "esc\\x1b[31mred\\x07",
    "bidi\u202egnp.exe": "bidi\\u202egnp.exe",
    "half \ud83d": "half \\ud83d",
}
TAGS = {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "svg", "rect", "title"}
NAMES = {"style", "viewbox", "preserveaspectratio", "role", "aria-label", "aria-hidden"}
NAMES |= {"x", "y", "width", "height", "fill"}
COLORS = {"seagreen", "gray", "crimson", "chocolate", "steelblue"}


class Seen(HTMLParser):
    """What a browser makes of it: tags, attributes, and rows of texts."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.styles: set[str] = set()
        self.lines: list[str] = []
        self.bars: list[tuple[str | None, list[tuple[str, float]]]] = []
        self.tables: list[list[list[str]]] = []
        self.titles: list[str] = []
        self._into: list[str] | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag opens."""
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        self.styles |= {value or "" for name, value in attrs if name == "style"}
        if tag == "svg":
            self.bars.append((dict(attrs).get("aria-label"), []))
        elif tag == "rect":
            drawn = {name: str(value) for name, value in attrs}
            self.bars[-1][1].append((drawn["fill"], float(drawn["width"])))
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self._into = self.tables[-1][-1]
            self._into.append("")
        elif tag in ("p", "title"):
            self._into = self.lines if tag == "p" else self.titles
            self._into.append("")

    def handle_data(self, data: str) -> None:
        """A text."""
        assert self._into is not None
        self._into[-1] += data


def seen(thing: Any) -> Seen:
    """What is shown of a thing; it is plain, whatever it is."""
    html = thing if isinstance(thing, str) else thing._repr_html_()
    assert html.encode("utf-8")
    found = Seen(html)
    assert set(found.tags) <= TAGS
    assert found.names <= NAMES
    assert {color for _, parts in found.bars for color, _ in parts} <= COLORS
    assert all(sum(width for _, width in parts) < 100.1 for _, parts in found.bars)
    assert not re.search(r"#[0-9a-f]{3}|rgb|url|background", " ".join(found.styles))
    assert all(len(rows) <= 31 for rows in found.tables)
    return found


def test_a_job_shows_its_terms_and_its_first_rows(harness: Harness) -> None:
    """Terms, the first thirty rows and how many there are, and what is wrong with a row."""
    rows: list[dict[str, Any]] = [
        {"username": name, "course_code": "C1"} for name in [*HOSTILE][:5]
    ]
    rows += [{"username": "", "course_id": 1}]
    rows += [{"user_id": 1000 + i, "course_id": 1} for i in range(1200)]
    found = seen(from_rows(rows))
    assert found.lines == [
        "Job: archive and unenroll",
        "Includes completed enrollments of learners.",
        "Tracking of the training material is kept.",
        "30 of 1,206 rows",
    ]
    header, *shown = found.tables[0]
    assert header == ["target", "user", "problem"]
    assert [row[1] for row in shown[:5]] == [*HOSTILE.values()][:5]
    assert shown[5] == ["", "", "no user: fill in username or user_id"]
    assert len(shown) == 30
    assert harness.sandbox.calls == []


def test_a_job_on_everything_describes_what_is_asked_for() -> None:
    """What is asked for is described, since only a plan knows the rows."""
    since = datetime(2025, 1, 1, tzinfo=timezone.utc)
    job = for_course("C1").all_enrollments(inactive_since=since, exclude=["ada", 7])
    job += for_course(2).all_enrollments(inactive_since=timedelta(days=365))
    job += for_course(3).all_enrollments()
    found = seen(job)
    first, second, third = found.lines[3:]
    assert first.startswith(
        "All matching enrollments of users inactive since 2025-01-01 00:00:00Z in course"
    )
    assert first.endswith("course 'C1', with 2 users excluded; planning finds them.")
    assert second == (
        "All matching enrollments of users inactive for 365 days in course 2; planning finds them."
    )
    assert third == "All matching enrollments in course 3; planning finds them."
    assert found.tables == []
    assert seen(for_course(1)).lines[-1] == "0 rows"


DRY_RUN = r"""Plan: archive and unenroll 4 enrollments in 3 courses of http://PLATFORM
THIS CANNOT BE UNDONE: archived enrollments cannot be restored.
Includes completed enrollments of learners.
Tracking of the training material is kept.
As far as is known, the record of a course does not contain the progress in its training material.

3 targets
  target       title              to archive  chunks
  SAFE         Course 71                   2       1
  FIRE         Course 72                   1       1
  E\x1b[2JVIL  \x1b]0;x\x07\nred           1       1

4 enrollments
  target       user_id  username  status     enrolled_at
  SAFE         101      alice     completed  2025-01-02 03:04:05Z
  SAFE         102      bob       completed  2025-01-02 03:04:05Z
  FIRE         102      bob       completed  2025-01-02 03:04:05Z
  E\x1b[2JVIL  101      alice     completed  2025-01-02 03:04:05Z

4 rows skipped
  rows  code            for example
     2  bad_row         no user: fill in username
     1  duplicate       same enrollment as line 2: archived only once
     1  unknown_course  no course has the code '\x1b[31mred\u202e'

Warning: the platform may send up to 4 notifications, one for each archived enrollment; consider disabling them there while the job runs
Calls: 13, plus polls of background jobs (all_course_enrollments 1, archive_course_enrollments 4, archived_course_enrollments 5, course_enrollments 2, list_jobs 1).
Time: about 7 seconds.
This is a dry run: nothing was sent."""  # noqa: E501


def test_the_dry_run_as_text(fresh_platform: Sandbox, archivist: Client, make_csv: MakeCsv) -> None:
    """A plan word for word, with escapes for the terminal shown and not obeyed."""
    fresh_platform.load(
        courses=[{"id_course": 80, "code": "E\x1b[2JVIL", "name": "\x1b]0;x\x07\nred"}],
        enrollments=[
            {
                "username": "alice",
                "course_code": "E\x1b[2JVIL",
                "enrollment_status": "completed",
                "enrollment_created_at": "2025-01-02 03:04:05",
            }
        ],
    )
    path = make_csv(
        "username,course_code\nalice,SAFE\nbob,SAFE\nbob,FIRE\nalice,E\x1b[2JVIL\n"
        "alice,SAFE\n,SAFE\nalice\nalice,\x1b[31mred\u202e\n"
    )
    text = str(from_csv(path).plan(archivist))
    assert text.replace(archivist.base_url, "http://PLATFORM") == DRY_RUN
    assert text.replace("\n", "").isprintable()


def test_html_says_what_text_says(harness: Harness) -> None:
    """Each line, and each cell of each table."""
    harness.load(3, 2)
    harness.change("UPDATE courses SET name = ? WHERE id_course = 1", SCRIPT)
    plan = harness.plan(1, 2, users=[1001, 1002, 1003])
    found, text = seen(plan), str(plan)
    assert [line for line in text.splitlines() if line and line[0] != " "] == found.lines
    assert found.lines[-1] == "This is a dry run: nothing was sent."
    for header, *rows in found.tables:
        assert all(" ".join(row) in " ".join(text.split()) for row in (header, *rows))
    assert found.tables[0][1:] == [["C1", SCRIPT, "3", "1"], ["C2", "C2", "2", "1"]]
    assert found.tables[2] == [
        ["rows", "code", "for example"],
        ["1", "not_enrolled", plan.skipped[0].reason],
    ]


def test_ids_are_shown_with_the_names_they_have(harness: Harness) -> None:
    """A username of digits that became an id is seen by the name of whom it names."""
    harness.load(2)
    harness.change("UPDATE users SET username = '1001' WHERE user_id = 1002")
    plan = for_course(1).users([1001]).plan(harness.client)
    for summary in (str(plan), plan._repr_html_()):
        assert "u1001" in summary
    assert "1 enrollment\n" in str(plan)


@pytest.mark.parametrize(("users", "skipped"), [([5], "1 row skipped"), ([], "No row is skipped.")])
def test_an_empty_plan_shows_no_table(harness: Harness, users: list[int], skipped: str) -> None:
    """It says so, and shows no table of what is not there."""
    harness.load(1)
    plan = for_course(1).users(users).plan(harness.client)
    found = seen(plan)
    assert found.lines[0] == f"Plan: archive and unenroll 0 enrollments of {plan.platform}"
    assert found.lines[3:5] == ["Nothing to archive.", skipped]
    for words in ("CANNOT BE UNDONE", "Calls:", "Time:"):
        assert words not in str(plan) + plan._repr_html_()
    assert len(found.tables) == len(users)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"only": "any"}, "Includes completed, enrolled and in progress enrollments of learners."),
        ({"include_staff": True}, "Includes completed enrollments of learners and staff."),
        ({"reset_tracking": True}, "Tracking of the training material is RESET."),
    ],
)
def test_the_terms_are_said(more: dict[str, Any], words: str) -> None:
    """What was decided is said before it is done."""
    assert words in seen(for_course(1, **more)).lines


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (89, "89 seconds"),
        (90, "2 minutes"),
        (5399, "90 minutes"),
        (9000, "2.5 hours"),
    ],
)
def test_the_time_has_a_readable_unit(harness: Harness, seconds: int, words: str) -> None:
    """Time has the unit that a person would take."""
    harness.load(1)
    plan = attrs.evolve(harness.plan(1), duration=timedelta(seconds=seconds))
    assert f"Time: about {words}." in str(plan).splitlines()


def test_a_plan_of_many_targets_is_about_a_screen(harness: Harness) -> None:
    """Thirty targets and ten enrollments, and how many there are: about a screen."""
    harness.load(*[2] * 33)
    harness.change("UPDATE courses SET name = ? WHERE id_course = 1", "x" * 500)
    plan = harness.plan()
    found = seen(plan)
    assert "30 of 33 targets" in found.lines
    assert "10 of 66 enrollments" in found.lines
    assert [len(table) for table in found.tables] == [31, 11]
    lines = str(plan).splitlines()
    assert len(lines) < 60
    begin = lines.index("30 of 33 targets")
    assert len({len(line) for line in lines[begin + 1 : begin + 32]}) == 1
    assert "x...  " in lines[begin + 2]


def test_a_result_shows_counts_and_its_first_outcomes(harness: Harness) -> None:
    """Counts, the ledger, and the first thirty outcomes of how many."""
    harness.load(40)
    harness.change("UPDATE users SET username = ? WHERE user_id = 1001", SCRIPT)
    users = [1001, 5, *range(1002, 1041)]
    result = harness.apply(harness.plan(1, users=users))
    found = seen(result)
    assert found.lines == [str(result), "Rows by code", "30 of 41 outcomes"]
    assert found.tables.pop(0)[1:] == [
        ["40", "archived", "archived"],
        ["1", "skipped", "not_enrolled"],
    ]
    assert str(result) == f"40 archived, 1 skipped, 0 failed, 0 unknown ({result.ledger})"
    header, first, second, *_ = found.tables[0]
    assert header == ["row", "kind", "code", "target", "user", "reason", "archived_at"]
    assert first == [
        *("0", "archived", "archived", "course 1", "1001", "archived as record 1"),
        "2026-03-01 12:00:00Z",
    ]
    assert second[:3] == ["1", "skipped", "not_enrolled"]
    assert len(found.tables[0]) == 31

    assert seen(result.skipped).lines == ["Outcomes: skipped", "1 outcome"]
    assert seen(result.outcomes).lines == ["Outcomes: all rows", "30 of 41 outcomes"]
    assert seen(result.incomplete).lines == ["Outcomes: incomplete", "0 outcomes"]
    assert len(seen(result.failed).tables[0]) == 1

    records = seen(result.records)
    assert records.lines == ["30 of 40 archived records"]
    assert records.tables[0][0][:5] == ["record_id", "user_id", "username", "target", "title"]
    assert records.tables[0][1][:3] == ["1", "1001", SCRIPT]


def test_rows_that_need_attention_come_first(harness: Harness) -> None:
    """What failed, is unknown or incomplete has its own table, before all outcomes."""
    harness.load(50)
    harness.sandbox.faults.add("job_partial", every=5)
    result = harness.apply(canary=0)
    found = seen(result)
    assert result.counts == {"archived": 40, "skipped": 0, "failed": 10, "unknown": 0}
    assert found.lines[2:] == ["Rows by code", "10 rows need attention", "30 of 50 outcomes"]
    codes, attention, _ = found.tables
    assert codes[1:] == [["40", "archived", "archived"], ["10", "failed", "not_archived"]]
    assert {row[1] for row in attention[1:]} == {"failed"}


def test_shares_are_drawn(harness: Harness) -> None:
    """Bars beside the counts, and one bar of all kinds, with its numbers for a screen reader."""
    harness.load(3, 1)
    plan = harness.plan(1, 2, users=[1001, 1002, 1003])
    assert seen(plan).bars == [(None, [("seagreen", 100)]), (None, [("seagreen", 33.33)])]
    found = seen(harness.apply(plan))
    strip, *beside = found.bars
    assert found.titles == ["4 archived", "2 skipped"]
    label, parts = strip
    assert label == "4 archived, 2 skipped"
    assert parts == [("seagreen", 66.67), ("gray", 33.33)]
    assert beside == [(None, [("seagreen", 100)]), (None, [("gray", 50)])]


def test_captions_are_set_off_and_positions_are_right_aligned(harness: Harness) -> None:
    """A table does not stick to the one above; rows are aligned like counts."""
    harness.load(2)
    html = harness.apply()._repr_html_()
    assert '<p style="margin:0.8em 0 0.3em">Rows by code</p>' in html
    assert re.search(r'<th style="text-align:right;[^"]*">row</th>', html)
    assert re.search(r'<td style="text-align:right;[^"]*">1</td>', html)


def test_a_bar_of_a_few_is_seen_beside_thousands() -> None:
    """One of ten thousand is drawn too, and the whole is no longer than the bar."""
    (drawn,) = seen(bar([(99.99, "gray"), (0.01, "crimson")])).bars
    assert [round(width) for _, width in drawn[1]] == [99, 1]


def test_a_contract_report_shows_thirty_rows() -> None:
    """A hostile swagger's words are words, and thirty rows are enough."""
    checks = [
        OperationCheck(
            operation=f"o{i}", state="not_listed", method="PUT", path="/x", faults=(SCRIPT,)
        )
        for i in range(31)
    ]
    report = ContractReport(None, tuple(checks))  # type: ignore[arg-type]
    found = seen(report)
    assert found.lines == ["0 of 31 operations confirmed, 0 of 31 writes", "30 of 31 operations"]
    assert found.tables[0][1] == ["o0", "not listed", "PUT /x", SCRIPT]


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items())
def test_texts_are_escaped(text: str, shown: str) -> None:
    """In a cell, a heading and a line, whoever wrote it."""
    found = seen(block(line(text, strong=True), table([text], [[text]])))
    assert found.lines == [shown]
    assert found.tables == [[[shown], [shown]]]


def test_how_cells_are_shown() -> None:
    """Counts have their thousands parted, ids have not; times say UTC; long texts are cut."""
    at = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)
    row = [12345, 12345, at, None, False, 0, "x" * 300]
    found = seen(table(["n", "id", "at", "none", "no", "zero", "long"], [row], numbers={"n"}))
    assert found.tables[0] == [
        ["n", "id", "at", "no", "zero", "long"],
        ["12,345", "12345", "2026-03-29 01:30:00Z", "False", "0", "x" * 199 + "…"],
    ]


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
def test_letters_stay_and_controls_are_escaped(text: str, shown: str) -> None:
    """Letters of every script stay; what a terminal would obey, or hide, is shown escaped."""
    assert printable(text) == shown
