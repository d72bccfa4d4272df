"""What a notebook shows: plain tables, everything escaped, the true counts, no colours."""

import re
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import Any

import pytest
from archive_tools import for_course, from_rows
from virtual_time import Stage

from lms_archive import ArchiveJob, ContractReport, OperationCheck
from lms_archive.records.html import block, counted, line, table

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "&lt;b&gt; & <b>bold</b>",
    "esc\x1b[31mred\x07",
    "bidi\u202egnp.exe",
    "half \ud83d",
]
SHOWN = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "&lt;b&gt; & <b>bold</b>",
    "esc\\x1b[31mred\\x07",
    "bidi\\u202egnp.exe",
    "half \\ud83d",
]
TAGS = {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td"}


class Seen(HTMLParser):
    """What a browser makes of it: tags, attributes, and rows of texts."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.styles: set[str] = set()
        self.lines: list[str] = []
        self.tables: list[list[list[str]]] = []
        self._into: list[str] | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag opens."""
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        self.styles |= {value or "" for name, value in attrs if name == "style"}
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self._into = self.tables[-1][-1]
            self._into.append("")
        elif tag == "p":
            self._into = self.lines
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
    assert found.names <= {"style"}
    assert not re.search(r"#[0-9a-f]{3}|rgb|url|background", " ".join(found.styles))
    assert all(len(rows) <= 31 for rows in found.tables)
    return found


def test_a_job(stage: Stage) -> None:
    """Terms, the first thirty rows and how many there are, and what is wrong with a row."""
    rows: list[dict[str, Any]] = [{"username": name, "course_code": "C1"} for name in HOSTILE[:5]]
    rows += [{"username": "", "course_id": 1}]
    rows += [{"user_id": 1000 + i, "course_id": 1} for i in range(1200)]
    found = seen(from_rows(rows))
    assert found.lines == [
        "Job: archive and unenroll",
        "Taken: completed; learners only.",
        "Tracking of the training material: kept.",
        "30 of 1,206 rows",
    ]
    header, *shown = found.tables[0]
    assert header == ["target", "user", "what is wrong"]
    assert [row[1] for row in shown[:5]] == SHOWN[:5]
    assert shown[5] == ["", "", "names no user: fill in username or user_id"]
    assert len(shown) == 30
    assert stage.sandbox.calls == []


def test_a_job_on_everything() -> None:
    """What is asked for is told in words, since only a plan knows the rows."""
    since = datetime(2025, 1, 1, tzinfo=timezone.utc)
    job = for_course("C1").all_enrollments(inactive_since=since, exclude=["ada", 7])
    job += for_course(2).all_enrollments(inactive_since=timedelta(days=365))
    job += for_course(3).all_enrollments()
    found = seen(job)
    assert [text.removesuffix(": found out by the plan.") for text in found.lines[3:]] == [
        f"Every enrollment of {what}"
        for what in (
            "course 'C1' that it takes, of users inactive since 2025-01-01 00:00:00Z, 2 excluded",
            "course 2 that it takes, of users inactive for 365 days",
            "course 3 that it takes",
        )
    ]
    assert found.tables == []
    assert seen(for_course(1)).lines[-1] == "0 rows"


def test_a_plan(stage: Stage) -> None:
    """It says what `print` says: what cannot be undone, targets, reasons, warnings, calls."""
    stage.load(3, 2)
    stage.change("UPDATE courses SET name = ? WHERE id_course = 1", HOSTILE[0])
    plan = stage.plan(1, 2, users=[1001, 1002, 1003])
    found = seen(plan)
    printed = [text.strip() for text in str(plan).splitlines()]
    assert [one for one in found.lines if one not in printed] == ["2 targets"]
    assert found.lines[1].startswith("THIS CANNOT BE UNDONE")
    assert found.tables[0] == [
        ["target", "title", "to archive", "chunks"],
        ["C1", HOSTILE[0], "3", "1"],
        ["C2", "C2", "2", "1"],
    ]
    assert found.tables[1] == [
        ["rows", "code", "for example"],
        ["1", "not_enrolled", plan.skipped[0].reason],
    ]


def test_a_plan_of_nothing(stage: Stage) -> None:
    """No table is shown of what is not there."""
    stage.load(1)
    found = seen(stage.plan(1, users=[5]))
    assert "Nothing to archive." in found.lines
    assert len(found.tables) == 1
    job = from_rows([])
    assert "Skipped: no row." in seen(job.plan(stage.client)).lines


def test_a_plan_of_many(stage: Stage) -> None:
    """Thirty targets, and how many there are."""
    stage.load(*[1] * 33)
    found = seen(stage.plan())
    assert "30 of 33 targets" in found.lines
    assert len(found.tables[0]) == 31


def test_a_result(stage: Stage) -> None:
    """Counts, the ledger, and the first thirty outcomes of how many."""
    stage.load(40)
    stage.change("UPDATE users SET username = ? WHERE user_id = 1001", HOSTILE[0])
    users = [1001, 5, *range(1002, 1041)]
    result = stage.apply(stage.plan(1, users=users))
    found = seen(result)
    assert found.lines == [
        "Result: 40 archived, 1 skipped, 0 failed, 0 unknown",
        str(result.ledger),
        "30 of 41 outcomes",
    ]
    header, first, second, *_ = found.tables[0]
    assert header == ["kind", "code", "target", "user", "reason", "archived_at"]
    assert first == [
        *("archived", "archived", "course 1", "1001", "archived as record 1"),
        "2026-03-01 12:00:00Z",
    ]
    assert second[:2] == ["skipped", "not_enrolled"]
    assert len(found.tables[0]) == 31

    assert seen(result.skipped).lines == ["Outcomes: skipped", "1 outcome"]
    assert seen(result.outcomes).lines == ["Outcomes: all rows", "30 of 41 outcomes"]
    assert seen(result.incomplete).lines == ["Outcomes: incomplete", "0 outcomes"]
    assert len(seen(result.failed).tables[0]) == 1

    records = seen(result.records)
    assert records.lines == ["30 of 40 archived records"]
    assert records.tables[0][0][:5] == ["record_id", "user_id", "username", "target", "title"]
    assert records.tables[0][1][:3] == ["1", "1001", HOSTILE[0]]


def test_a_result_on_unconfirmed_ground(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was trusted is told, as in print."""
    stage.load(1)
    result = stage.apply()
    monkeypatch.setattr(type(result), "_trusted", lambda _: ["not confirmed <b>, trusted"])
    assert seen(result).lines[2] == "not confirmed <b>, trusted"


def test_records_of_learning_plans(stage: Stage) -> None:
    """The target of a record is its plan."""
    stage.load(1)
    stage.sandbox.load(
        learning_plans=[{"learning_plan_id": 5, "code": "P5", "title": "Five", "courses": []}],
        learning_plan_enrollments=[
            {
                "user_id": 1001,
                "learning_plan_id": 5,
                "enrollment_status": "completed",
                "enrollment_created_at": "2025-01-02 03:04:05",
            }
        ],
    )
    job = ArchiveJob.for_learning_plan("P5", mode="unenroll", reset_tracking=False)
    result = stage.apply(job.users([1001]).plan(stage.client))
    assert seen(result.records).tables[0][1][1:5] == ["1001", "u1001", "P5", "Five"]


def test_a_contract_report(stage: Stage) -> None:
    """One row for each operation, and what is open."""
    report = stage.client.verify_contract()
    found = seen(report)
    assert found.lines[0] == str(report).splitlines()[0]
    assert found.lines[1] == f"{len(report.judgements)} operations"
    assert len(found.tables[0]) == len(report.judgements) + 1
    assert found.tables[0][0] == ["operation", "state", "call"]


def test_a_contract_report_of_much() -> None:
    """A hostile swagger's words are words, and thirty rows are enough."""
    judgements = [
        OperationCheck(
            operation=f"o{i}", state="missing", method="PUT", path="/x", faults=(HOSTILE[0],)
        )
        for i in range(31)
    ]
    report = ContractReport(None, tuple(judgements))  # type: ignore[arg-type]
    found = seen(report)
    assert found.lines == ["0 of 31 operations confirmed, 0 of 31 writes", "30 of 31 operations"]
    assert found.tables[0][1] == ["o0", "missing", "PUT /x", HOSTILE[0]]


@pytest.mark.parametrize(("text", "shown"), [*zip(HOSTILE, SHOWN, strict=True)])
def test_texts_are_only_texts(text: str, shown: str) -> None:
    """In a cell, a heading and a line, whoever wrote it."""
    found = seen(block(line(text, strong=True), table([text], [[text]])))
    assert found.lines == [shown]
    assert found.tables == [[[shown], [shown]]]


def test_cells() -> None:
    """Counts have their thousands parted, ids have not; times say UTC; long texts are cut."""
    at = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)
    row = [12345, 12345, at, None, False, 0, "x" * 300]
    found = seen(table(["n", "id", "at", "none", "no", "zero", "long"], [row], numbers={"n"}))
    assert found.tables[0] == [
        ["n", "id", "at", "no", "zero", "long"],
        ["12,345", "12345", "2026-03-29 01:30:00Z", "False", "0", "x" * 199 + "…"],
    ]


@pytest.mark.parametrize(
    ("shown", "total", "words"),
    [
        (30, 4048, "30 of 4,048 outcomes"),
        (0, 0, "0 outcomes"),
        (1, 1, "1 outcome"),
        (30, None, "the first 30 outcomes; how many there are is not told"),
    ],
)
def test_the_true_count(shown: int, total: int | None, words: str) -> None:
    """How many are shown of how many."""
    assert counted(shown, total, "outcome") == words
