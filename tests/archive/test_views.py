"""What plans, results and their views say of themselves, and how they are read in part."""

import json
import pydoc
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest
from archive_tools import from_rows
from virtual_time import Harness

from lms_archive import ArchivePlan, ArchiveResult, Client, Outcome
from lms_archive.archive import SkippedRows


@pytest.fixture
def plan(harness: Harness) -> ArchivePlan:
    """Five of seven rows are archived; the second and the fifth are skipped."""
    harness.load(6)
    users = [1001, 5, 1002, 1003, "", 1004, 1005]
    return from_rows([{"user_id": user, "course_id": 1} for user in users]).plan(harness.client)


@pytest.fixture
def result(harness: Harness, plan: ArchivePlan) -> ArchiveResult:
    """The result of that plan."""
    return harness.apply(plan)


def test_each_says_what_it_holds(plan: ArchivePlan, result: ArchiveResult) -> None:
    """Counts, and nothing else; what is zero and rare is left out."""
    assert repr(plan) == "<ArchivePlan 5 to archive, 2 skipped, 1 chunk>"
    assert repr(result) == "<ArchiveResult 5 archived, 2 skipped, 0 failed, 1 needs attention>"
    assert repr(result.outcomes) == "<Outcomes 7 outcomes>"
    assert repr(result.skipped) == "<Outcomes 2 skipped>"
    assert repr(result.incomplete) == "<Outcomes 0 incomplete>"
    assert repr(result.needs_attention) == "<Outcomes 1 need attention>"
    assert repr(result.records) == "<Records 5 archived>"
    assert repr(result.pending) == "<Pending 0 pending>"
    assert repr(plan.skipped) == "<SkippedRows 2 skipped>"


def test_the_rows_to_look_at_first_are_one_view(harness: Harness) -> None:
    """Failed, and archived otherwise than planned; the view and the outcome have one rule."""
    harness.load(9)
    harness.sandbox.faults.add("job_partial", every=4)
    result = harness.apply(canary=0)
    wanted = [outcome for outcome in result.outcomes if outcome.needs_attention]
    assert {outcome.kind for outcome in wanted} == {"failed"}
    assert list(result.needs_attention) == wanted
    assert len(result.needs_attention) == len(wanted) == 2
    assert result.needs_attention[1] == wanted[1]
    assert list(result.needs_attention.to_pandas()["outcome"]) == ["failed"] * 2


def test_a_job_that_is_not_finished_says_so(harness: Harness, plan: ArchivePlan) -> None:
    """Rows without an outcome are in the repr, and so are unknown ones."""

    def interrupt(event: Any) -> None:
        if event.kind == "decided":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        harness.apply(plan, on_event=interrupt)
    text = "<ArchiveResult 1 archived, 2 skipped, 0 failed, 4 pending, 1 needs attention>"
    assert repr(ArchiveResult(harness.ledger)) == text
    assert len(ArchiveResult(harness.ledger).pending[1:3]) == 2


def test_the_repr_of_a_lost_ledger_does_not_fail(harness: Harness) -> None:
    """A debugger shows a repr, whatever became of the file."""
    path = harness.folder / "lost.sqlite"
    result = ArchiveResult(path)
    assert repr(result) == f"<ArchiveResult of {str(path)!r}, which cannot be read>"
    for view in (result.outcomes, result.records, result.pending):
        assert f"(ledger {str(path)!r} cannot be read)" in repr(view)


PLACES = [slice(n, m, step) for n in (None, -9, 1) for m in (None, 4, -1) for step in (1, 3, -2)]


def test_index_and_slices_are_those_of_a_list(plan: ArchivePlan, result: ArchiveResult) -> None:
    """Each view gives what the list of it would; a slice is a list."""
    for view in (result.outcomes, result.archived, result.incomplete, result.records, plan.skipped):
        items: list[Any] = list(view)
        assert len(items) == len(view)
        for place in range(-len(items), len(items)):
            assert view[place] == items[place]
        for part in PLACES:
            assert view[part] == items[part], part
        for outside in (len(items), -len(items) - 1):
            with pytest.raises(IndexError, match="out of range"):
                view[outside]
    with pytest.raises(TypeError):
        result.outcomes["first"]  # type: ignore[call-overload]


def test_skipped_rows_of_a_plan_are_those_of_its_result(
    plan: ArchivePlan, result: ArchiveResult
) -> None:
    """The same outcomes, in the same tables, before anything is sent and afterwards."""
    assert isinstance(plan.skipped, SkippedRows)
    assert list(plan.skipped) == list(result.skipped)
    before, after = plan.skipped.to_pandas(), result.skipped.to_pandas()
    pd.testing.assert_frame_equal(before, after)
    assert plan.skipped._repr_html_().count("<tr>") == 3


def test_a_plan_is_a_data_frame(harness: Harness) -> None:
    """With the index of the rows, the types of the page, and the rows of its CSV."""
    harness.load(2)
    index = pd.Index([date(2026, 1, 1), date(2026, 1, 2)])
    frame = pd.DataFrame({"user_id": [1002, 7], "course_id": [1, 1], "plan": "x"}, index=index)
    plan = from_rows(frame).plan(harness.client)
    found = plan.to_pandas()
    assert list(found.index) == list(index)
    assert list(found["plan_2"]) == ["archive", "skip"]
    assert {str(found[name].dtype) for name in ("plan_2", "user_id", "plan_enrolled_at_2")} == {
        "category",
        "Int64",
        "datetime64[us, UTC]",
    }
    plan.to_csv(harness.folder / "plan.csv")
    header = (harness.folder / "plan.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header.split(",") == list(found.columns) == plan.to_arrow().column_names


def test_an_outcome_is_plain_json(result: ArchiveResult) -> None:
    """Each outcome survives JSON, with its record as `to_dict` of the record has it."""
    first, second = (outcome.to_dict() for outcome in result.outcomes[:2])
    assert json.loads(json.dumps(first)) == first
    record = result.records[0].to_dict()
    assert first["record"] == record
    assert first["target"] == {"kind": "course", "target_id": 1, "code": None}
    assert (second["kind"], second["code"], second["record"]) == ("skipped", "not_enrolled", None)
    assert set(first) == set(Outcome.__annotations__)


@pytest.mark.parametrize(
    ("label", "plain"),
    [
        (pd.Timestamp("2026-01-02", tz="UTC"), "2026-01-02T00:00:00+00:00"),
        (timedelta(hours=1), "1:00:00"),
        (float("nan"), None),
        (("a", 1), ["a", 1]),
        (True, True),
    ],
)
def test_labels_are_plain_json(harness: Harness, label: Any, plain: Any) -> None:
    """Whatever the index holds, and whatever cannot be in JSON."""
    harness.load(1)
    index = pd.MultiIndex.from_tuples([label]) if isinstance(label, tuple) else pd.Index([label])
    frame = pd.DataFrame({"user_id": [5], "course_id": [1], "x": [float("nan")]}, index=index)
    (outcome,) = from_rows(frame).plan(harness.client).skipped
    assert json.loads(json.dumps(outcome.to_dict(), allow_nan=False))["label"] == plain


def test_summaries_are_plain_json(plan: ArchivePlan, result: ArchiveResult) -> None:
    """Plan and result, for another program's log or ticket."""
    before, after = plan.to_dict(), result.to_dict()
    assert json.loads(json.dumps([before, after])) == [before, after]
    assert before["counts"] == {"rows": 7, "to_archive": 5, "skipped": 2, "chunks": 1}
    assert before["skipped"] == {"not_enrolled": 1, "bad_row": 1}
    assert (before["mode"], before["only"]) == ("unenroll", ["completed"])
    assert before["read_at"].startswith("2026-03-01T12:00:00")
    assert after["counts"] == {"archived": 5, "skipped": 2, "failed": 0, "unknown": 0}
    assert after["codes"] == {"archived": 5, "bad_row": 1, "not_enrolled": 1}
    assert (after["pending"], after["is_finished"], after["note"]) == (0, True, None)


def test_help_shows_the_resources_of_a_client() -> None:
    """`help(Client)` names each, and what it is for."""
    text = pydoc.render_doc(Client, renderer=pydoc.plaintext)  # type: ignore[attr-defined]
    for name in Client.__annotations__:
        assert f"{name}: list" in text
