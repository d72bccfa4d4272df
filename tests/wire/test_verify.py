"""The contract compared with what a platform says about its own calls, always over HTTP."""

import json
import pickle
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
from swagger_documents import (
    ARCHIVE,
    ARCHIVE_PLAN,
    NOISE,
    WRITES,
    Served,
    archive_body,
    archive_call,
    camels,
    forms,
    ids,
    json_body,
    moved,
    own_documents,
    serving,
    swagger2,
    takes,
    text,
    without_archive,
)

from lms_archive import Client, Contract, InvalidInputError, PasswordGrant, StaticToken
from lms_archive.errors import (
    AuthenticationError,
    PlatformUnavailableError,
    RateLimitError,
    UnconfirmedContractError,
)
from lms_archive.sandbox import Sandbox
from lms_archive.sandbox.routes import ROUTES
from lms_archive.wire.report import ContractReport, OperationCheck

DEFAULT = Contract.default()
CHECKED = [name for name in DEFAULT.operations if name not in ("token", "microservices", "swagger")]
ARCHIVING = [name for name in CHECKED if "archive" in name]


def report_of(documents: Any, names: list[str], contract: Contract | None = None) -> ContractReport:
    """The report on these operations, on a platform that serves these documents."""
    with serving(documents) as platform, platform.client(contract=contract) as client:
        return client.verify_contract(names)


def check_of(documents: Any, name: str = ARCHIVE) -> OperationCheck:
    """The check of one operation."""
    return report_of(documents, [name])[name]


def test_the_sandbox_confirms_every_operation_it_answers() -> None:
    """Rows without a route are not listed; no document is read twice."""
    with Sandbox() as sandbox, sandbox.client() as client:
        report = client.verify_contract()
        asked = [call.operation for call in sandbox.calls]
    assert [check.operation for check in report] == CHECKED
    answered = {route.operation for route in ROUTES}
    answered |= {f"{name}_select_all" for name in answered if name.startswith("archive_")}
    assert {check.operation for check in report if check.state == "confirmed"} == answered
    assert {c.state for c in report if c.operation not in answered} <= {"not_listed"}
    assert asked.count("swagger") == client.session.calls["swagger"] <= 5


def test_documents_that_agree_with_the_contract_confirm_all_of_it() -> None:
    """Nothing is proposed, and only the documents of the contract's services are read."""
    with serving(own_documents()) as platform, platform.client() as client:
        report = client.verify_contract()
        assert client.session.calls == {"microservices": 1, "swagger": 4}
    assert {check.state for check in report} == {"confirmed"}
    assert (report.suggested_contract(), report.overrides) == (DEFAULT, "")
    assert f"{len(CHECKED)} of {len(CHECKED)} operations confirmed, 6 of 6 writes" in str(report)
    report.require(*WRITES)
    with pytest.raises(KeyError):
        report.require("token")


OWN = {"put": json_body(**archive_body())}
SAME: dict[str, Any] = {
    "a slash at the end": archive_call(path="/learn/v1/enrollments/"),
    "a base path": archive_call(path="/enrollments", base="/learn/v1"),
    "more parameters": archive_call(row=json_body(**archive_body(notify={"type": "boolean"}))),
    "a mode more": archive_call(row=json_body(**archive_body(("keep", "re_enroll", "delete")))),
    "another service's document": {
        **own_documents(),
        "learn": swagger2({}),
        "enrollment": swagger2({"/learn/v1/enrollments": OWN}),
    },
    "beside one that differs": {
        **own_documents(),
        "learn": swagger2({"/learn/v1/enrollments/": {"put": {}}}),
        "course": swagger2({"/learn/v1/enrollments": OWN}),
    },
    "its own service unreadable": {
        **own_documents(),
        "learn": Served(b"", 403),
        "enrollment": swagger2({"/learn/v1/enrollments": OWN}),
    },
}


@pytest.mark.parametrize("documents", SAME.values(), ids=SAME.keys())
def test_a_call_is_confirmed_however_a_document_writes_it(documents: Any) -> None:
    """Wherever it is listed, method, path and parameters decide."""
    check = check_of(documents)
    assert (check.state, check.faults, check.candidates) == ("confirmed", (), ())


def test_the_name_of_a_placeholder_matters_only_where_it_names_something_else() -> None:
    """`{id}` and `{courseId}` are a course's; `{user_id}` is not."""
    described = takes("user_id[]", "enrollment_status[]", "page", "page_size", "cursor",
                      "extra_fields[]", "get_cursor")  # fmt: skip
    for name, state in {"id": "confirmed", "courseId": "confirmed", "user_id": "differs"}.items():
        path = f"/courses/{{{name}}}/enrollments"
        documents = {"course": swagger2({path: {"get": described}}, "/course/v1")}
        check = check_of(documents, "course_enrollments")
        assert check.state == state, name
    assert check.faults == ("its path has {user_id} instead of {course_id}",)


def without(name: str) -> dict[str, Any]:
    """The body of the archive call, one property less."""
    return {key: value for key, value in archive_body().items() if key != name}


def needing(*names: str) -> dict[str, Any]:
    """The archive call with required properties."""
    row = json_body(**archive_body(notify=text()))
    row["parameters"][0]["schema"]["required"] = list(names)
    return row


FORM = takes("course_id[]", "user_id[]", "enrollment_mode", "reset_tracking", place="formData")
DIFFERENT: dict[str, tuple[Any, str]] = {
    "no mode": (json_body(**without("enrollment_mode")),
        "enrollment_mode is not in its body; it takes course_id, user_id, reset_tracking (body)"),
    "nothing at all": ({}, "enrollment_mode, reset_tracking are not in its body; it takes nothing"),
    "mode in the query": (
        {"parameters": [*json_body(**without("enrollment_mode"))["parameters"],
                        *takes("enrollment_mode")["parameters"]]},
        "it takes course_id, user_id, reset_tracking (body); enrollment_mode (query)"),
    "form": (FORM, "in its body; it takes course_id[], user_id[], enrollment_mode, reset_"),
    "one user": (json_body(**{**archive_body(), "user_id": {"type": "integer"}}),
        "user_id takes one value, but a list is sent"),
    "several modes": (json_body(**{**archive_body(), "enrollment_mode": ids()}),
        "enrollment_mode takes a list, but one value is sent"),
    "another value": (json_body(**archive_body(("archive", "re_enroll"))),
        "enrollment_mode takes archive, re_enroll, not delete (unenroll)"),
    "needs more": (needing("notify", "user_id"), "notify is required, but not sent"),
    "many others": (json_body(**{f"p{n}": text() for n in range(12)}), "p8, p9, ... (body)"),
}  # fmt: skip


@pytest.mark.parametrize(("row", "fault"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_a_write_that_takes_something_else_differs(row: Any, fault: str) -> None:
    """The fault says in what, and is printed."""
    check = check_of(archive_call(row=row))
    assert check.state == "differs"
    assert any(fault in text for text in check.faults), check.faults
    assert fault in str(check)


def test_a_read_differs_by_the_spelling_of_a_filter_and_by_fixed_values() -> None:
    """A filter of another name would be ignored; a value that is not listed may be refused."""
    names = ("user_id", "enrollment_status[]", "page", "page_size", "cursor", "get_cursor")
    described = takes(*names)
    listed = {"type": "array", "items": text("enrollment_status")}
    described["parameters"].append({"name": "extra_fields[]", "in": "query", **listed})
    path = "/course/v1/courses/{id}/enrollments"
    check = check_of({"course": swagger2({path: {"get": described}})}, "course_enrollments")
    sent = "enrollment_status, enrollment_time_spent"
    assert check.faults == (
        f"user_id is not in its query; it takes {', '.join([*names, 'extra_fields[]'])} (query)",
        f"extra_fields[] takes enrollment_status, not all of {sent}",
    )


def test_another_method_or_a_literal_in_the_path_is_another_call() -> None:
    """It is not listed, and the report says which methods the path has."""
    check = check_of(archive_call(method="post"))
    fault = "not listed in the swagger: the path is listed with POST only"
    assert (check.state, check.faults) == ("not_listed", (fault,))
    own = own_documents()["course"]["paths"]["/course/v1/courses/{course_id}/enrollments"]
    documents = {"course": swagger2({"/course/v1/courses/archived/enrollments": own})}
    check = check_of(documents, "course_enrollments")
    assert (check.state, check.faults) == ("not_listed", ("not listed in the swagger",))


HTML = b"<!doctype html><html><head><title>Sign in</title></head></html>"
UNREADABLE: dict[str, tuple[Any, str]] = {
    "YAML": (Served(b"swagger: '2.0'", kind="application/yaml"), "200 not JSON (application/yaml)"),
    "HTML": (Served(HTML, kind="text/html"), "200 the platform answered with a web page: Sign in"),
    "403": (Served(b'{"message": "not for you"}', 403), "403 not for you"),
    "404": (Served(b"", 404), "404"),
    "a redirect": (Served(b"", 302, headers={"Location": "/login"}), "302 redirects to /login"),
    "500": (Served(b"oops", 500), "500 oops"),
    "empty": (Served(b""), "not a JSON object"),
    "no swagger": ({"data": {"items": []}}, "neither Swagger 2.0 nor OpenAPI 3"),
}


@pytest.mark.parametrize(("document", "reason"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_document_that_cannot_be_read_makes_its_rows_unreadable(
    document: Any, reason: str
) -> None:
    """The report says why in one line, and confirms nothing."""
    report = report_of({"learn": document}, [ARCHIVE])
    (fault,) = report[ARCHIVE].faults
    assert report[ARCHIVE].state == "unreadable"
    assert fault.startswith("GET /learn/v1/swagger: ")
    assert reason in fault
    assert report.unreadable["learn"] == fault
    assert not report.confirmed(ARCHIVE)


def test_a_platform_that_cannot_be_asked_is_an_error() -> None:
    """No connection, no login and hours of 429 say nothing about the contract."""
    with serving({}) as platform:
        client = platform.client()
    with client, pytest.raises(PlatformUnavailableError):
        client.verify_contract()
    with Sandbox() as sandbox, pytest.raises(AuthenticationError):
        Client(sandbox.url, PasswordGrant("a", "b", "c", "d")).verify_contract()
    with pytest.raises(RateLimitError):
        report_of({"learn": Served(b"", 429, headers={"Retry-After": "9999"})}, [ARCHIVE])


def test_documents_are_read_once_for_all_copies_of_a_client() -> None:
    """Refused ones too; another account reads them again, and so does a retry after a 503."""
    documents = {**own_documents(), "manage": Served(b"", 403)}
    with serving(documents) as platform, platform.client() as client:
        client.verify_contract()
        assert [call.path for call in platform.asked].count("/manage/v1/swagger") == 2
        asked = len(platform.asked)
        client.verify_contract()
        copy = client.with_options(contract=DEFAULT.with_enrollment_mode("unenroll", "x"))
        assert copy.verify_contract([ARCHIVE]).confirmed(ARCHIVE)
        assert len(platform.asked) == asked
        client.with_options(auth=StaticToken("another")).verify_contract([ARCHIVE])
        assert len(platform.asked) == asked + 2  # for the addresses too
    documents = {**own_documents(), "learn": Served(b"", 503)}
    with serving(documents) as platform, platform.client() as client:
        assert client.verify_contract([ARCHIVE])[ARCHIVE].state == "unreadable"
        good = json.dumps(archive_call()["learn"]).encode()
        platform.answers["GET /learn/v1/swagger"] = Served(good)
        assert client.verify_contract([ARCHIVE])[ARCHIVE].state == "confirmed"


def test_documents_may_be_below_a_path_or_where_the_contract_says() -> None:
    """A base URL may have a path; the address of the swagger is a row of the contract."""
    documents = archive_call(path="/enrollments", base="/lms/learn/v1")
    with serving(documents, "/lms") as platform, platform.client() as client:
        assert client.verify_contract([ARCHIVE]).confirmed(ARCHIVE)
        asked = [call.path for call in platform.asked]
        assert asked == ["/lms/manage/v1/site/microservices", "/lms/learn/v1/swagger"]
    contract = DEFAULT.with_operation("swagger", path="/api-docs/{service}.json")
    with serving({}) as platform, platform.client(contract=contract) as client:
        good = json.dumps(archive_call()["learn"]).encode()
        platform.answers["GET /api-docs/learn.json"] = Served(good)
        assert client.verify_contract([ARCHIVE]).confirmed(ARCHIVE)


@pytest.mark.parametrize("name", ["token", "microservices", "swagger", "archive"])
def test_rows_that_are_not_checked_are_refused_before_any_call(name: str) -> None:
    """Those that find the documents, and names that no row has."""
    with serving({}) as platform, platform.client() as client:
        with pytest.raises(InvalidInputError, match=f"operation '{name}' cannot be verified"):
            client.verify_contract([name])
        assert platform.asked == []


def test_each_mode_is_confirmed_by_itself() -> None:
    """A platform that lacks one mode's value can still be used for the other."""
    report = report_of(archive_call(row=json_body(**archive_body(("delete",)))), [ARCHIVE])
    assert report[ARCHIVE].modes == ("re-enroll",)
    assert not report.confirmed(ARCHIVE)
    assert report.confirmed(ARCHIVE, "unenroll")
    assert not report.confirmed(ARCHIVE, "re-enroll")
    report.require(ARCHIVE, mode="unenroll")
    with pytest.raises(
        UnconfirmedContractError, match="none of its values clearly means re-enroll"
    ):
        report.require(ARCHIVE, mode="re-enroll")
    worse = json_body(**{**archive_body(("delete",)), "user_id": text()})
    assert not check_of(archive_call(row=worse)).confirmed("unenroll")
    unlisted = check_of(archive_call(row=json_body(**archive_body(()))))
    note = "the values of enrollment_mode are not listed, so they are not confirmed"
    assert (unlisted.state, unlisted.notes) == ("confirmed", (note,))
    assert note in str(unlisted)


FOREIGN: dict[str, tuple[Callable[[], Any], dict[str, str], Any, str]] = {
    "moved": (moved, {"unenroll": "archive", "re-enroll": "archive_and_reenroll"},
        ("POST", "/course/v1/courses/71/enrollments/archive"),
        '{"users": [5, 6], "enrollment_mode": "archive", "reset_tracking": false}'),
    "forms": (forms, {"unenroll": "delete", "re-enroll": "re_enroll"},
        ("POST", "/enrollment/v1/bulk/courses"),
        "id_course=71&id_user%5B%5D=5&id_user%5B%5D=6&enrollment_mode=delete&reset_tracking=0"),
    "camels": (camels, {"unenroll": "unenroll", "re-enroll": "reEnroll"},
        ("PATCH", "/course/v2/enrollments"),
        '{"courseIds":[71],"userIds":[5,6],"enrollmentMode":"unenroll","resetTracking":false}'),
}  # fmt: skip


@pytest.mark.parametrize(("make", "modes", "call", "body"), FOREIGN.values(), ids=FOREIGN.keys())
def test_an_override_is_proposed_that_the_platform_confirms(
    make: Callable[[], Any], modes: dict[str, str], call: tuple[str, str], body: str
) -> None:
    """The printed override is Python that makes the suggested contract, and its call arrives."""
    with serving(make()) as platform, platform.client() as client:
        report = client.verify_contract([ARCHIVE, ARCHIVE_PLAN])
        assert {check.state for check in report} == {"not_listed"}
        assert report[ARCHIVE].candidates[0].method == call[0]
        suggested = report.suggested_contract()
        assert suggested.enrollment_mode == modes
        assert suggested.operations[ARCHIVE].evidence == "proposed from the platform's own swagger"
        asked, other = len(platform.asked), client.with_options(contract=suggested)
        again = other.verify_contract([ARCHIVE, ARCHIVE_PLAN])
        assert [check.state for check in again] == ["confirmed"] * 2, str(again)
        assert len(platform.asked) == asked
        assert client.session.settings.contract == DEFAULT

        names: dict[str, Any] = {"Contract": Contract}
        exec(report.overrides, names)  # noqa: S102  what a user would paste
        pasted = names["contract"]
        assert pasted.enrollment_mode == modes
        for name in (ARCHIVE, ARCHIVE_PLAN):
            for field in ("method", "path", "params", "sends", "service"):
                row, wanted = pasted.operations[name], suggested.operations[name]
                assert getattr(row, field) == getattr(wanted, field)
            override = report[name].candidates[0].override.splitlines()
            assert all(line.strip() in str(report[name]) for line in override)

        platform.answers[" ".join(call)] = Served(b"{}")
        given = {"course_id": 71, "user_ids": [5, 6], "mode": modes["unenroll"]}
        assert suggested.operations[ARCHIVE].request(**given, reset_tracking=False).is_write
        other.session.call(ARCHIVE, **given, reset_tracking=False)
        sent = platform.asked[-1]
    assert (sent.method, sent.path) == call
    decode = json.loads if "json" in sent.kind else parse_qsl
    assert decode(sent.body) == decode(body)


def test_an_archived_list_elsewhere_is_proposed_without_the_filters_it_lacks() -> None:
    """So is its deletion."""
    item = {
        "get": takes("page", "page_size", "archived_from", "userIds[]"),
        "delete": json_body(archived_ids=ids()),
    }
    documents = without_archive(
        enrollment=swagger2({"/enrollment/v1/archived-enrollments/courses/{id}": item})
    )
    names = ["archived_course_enrollments", "delete_archived_course_enrollments"]
    suggested = report_of(documents, names).suggested_contract()
    row = suggested.operations[names[0]]
    assert row.path == "/enrollment/v1/archived-enrollments/courses/{course_id}"
    assert row.params == {"user_ids": "userIds[]", "archived_from": "archived_from",
                          "page": "page", "page_size": "page_size"}  # fmt: skip
    assert row.fixed == {"get_total_count": 1}
    again = report_of(documents, names, suggested)
    assert [check.state for check in again] == ["confirmed", "confirmed"]


def test_a_read_in_another_version_is_proposed() -> None:
    """The same path after service and version, with its names."""
    described = takes("q", "search_text", "page", "page_size")
    documents = {"course": swagger2({"/course/v2/courses/": {"get": described}})}
    (candidate,) = check_of(documents, "list_courses").candidates
    assert candidate.override == '.with_operation("list_courses", path="/course/v2/courses/")'


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_nothing_is_proposed_from_the_calls_of_other_products(noise: Any) -> None:
    """Nor from calls of this platform that do something else."""
    documents = without_archive()
    documents["learn"]["paths"] |= noise["paths"]
    for served in (documents, dict.fromkeys(documents, noise)):
        report = report_of(served, ARCHIVING)
        assert [check.operation for check in report if check.state == "confirmed"] == []
        assert [near for check in report for near in check.candidates] == []
        assert (report.suggested_contract(), report.overrides) == (DEFAULT, "")
        assert str(report).count("    no candidate\n") == len(ARCHIVING)


def test_a_call_is_proposed_for_the_one_operation_that_it_may_be() -> None:
    """A plan's archive call is not proposed for courses, nor a list for a write."""
    rows = {
        path.replace("/v1/", "/v9/"): {
            method: row for method, row in item.items() if row["operationId"] in ARCHIVING
        }
        for document in own_documents().values()
        for path, item in document["paths"].items()
    }
    others = dict.fromkeys(("course", "learn", "learningplan"), swagger2({}))
    report = report_of({"enrollment": swagger2(rows), **others}, ARCHIVING)
    calls = [
        (candidate.method, candidate.path)
        for check in report
        if not check.operation.endswith("_select_all")  # another form of the same call
        for candidate in check.candidates
    ]
    assert len(calls) == len(set(calls)) == len(ARCHIVING) - 2


INEXPRESSIBLE: dict[str, tuple[str, Any, str]] = {
    "one user a call": ("/learn/v1/courses/{course_id}/users/{user_id}/enrollments/archive",
        json_body(enrollment_mode=text(), reset_tracking=text()), "its path needs {user_id}"),
    "ids of enrollments": ("/enrollment/v1/enrollments/archive",
        json_body(enrollment_ids=ids(), enrollment_mode=text(), reset_tracking=text()),
        "it has no evident place for user_ids"),
    "one user in the body": ("/learn/v1/enrollments/archive",
        json_body(**{**archive_body(), "user_id": {"type": "integer"}}), "takes one value"),
    "needs more": ("/learn/v1/enrollments/archive", needing("notify"), "notify is required"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "row", "obstacle"), INEXPRESSIBLE.values(), ids=INEXPRESSIBLE.keys()
)
def test_a_candidate_that_no_override_can_express_is_named_with_the_obstacle(
    path: str, row: Any, obstacle: str
) -> None:
    """It is shown, and not suggested."""
    report = report_of(without_archive(enrollment=swagger2({path: {"post": row}})), [ARCHIVE])
    (candidate,) = report[ARCHIVE].candidates
    assert (candidate.path, candidate.override) == (path, "")
    assert any(obstacle in text for text in candidate.obstacles), candidate.obstacles
    assert obstacle in str(report)
    assert report.suggested_contract() == DEFAULT


def test_the_likeliest_candidate_comes_first() -> None:
    """One with both parameters of the reply comes before words alone; at most three are named."""
    words = {"operationId": "archive", **json_body(course_id=ids(), user_ids=ids())}
    paths = {f"/{letter}/v1/enrollments/archive": {"post": words} for letter in "abc"}
    best = {"summary": "Archive enrollments", **json_body(**archive_body())}
    paths["/z/v1/enrollments/many"] = {"post": best}
    check = check_of(without_archive(enrollment=swagger2(paths)))
    assert [candidate.path for candidate in check.candidates] == [
        "/z/v1/enrollments/many", "/a/v1/enrollments/archive", "/b/v1/enrollments/archive",
    ]  # fmt: skip
    assert check.candidates[1].obstacles == (
        "it has no evident place for mode", "it has no evident place for reset_tracking",
    )  # fmt: skip


def test_of_two_values_that_may_mean_a_mode_none_is_proposed() -> None:
    """Which of them is meant is for a person to say."""
    check = check_of(archive_call(row=json_body(**archive_body(("unenroll", "remove", "again")))))
    (candidate,) = check.candidates
    assert (candidate.override, candidate.modes) == ("", {})
    assert candidate.obstacles == (
        "none of its values clearly means unenroll: unenroll, remove, again",
        "none of its values clearly means re-enroll: unenroll, remove, again",
    )


def test_the_error_of_an_unconfirmed_call_shows_the_override_and_survives_a_pickle() -> None:
    """It names our call, the candidate, and what to paste."""
    report = report_of(moved(), [ARCHIVE])
    with pytest.raises(UnconfirmedContractError) as caught:
        report.require(ARCHIVE)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):  # noqa: S301  our own
        assert error.report == report
        for part in (
            "nothing was sent",
            "PUT /learn/v1/enrollments",
            "POST /course/v1/courses/{courseId}/enrollments/archive",
            f'.with_operation(\n            "{ARCHIVE}",',
            '.with_enrollment_mode("unenroll", "archive")',
        ):
            assert part in str(error)


def test_text_of_the_platform_cannot_leave_an_override_or_reach_the_terminal() -> None:
    """Control characters are not printed, and a quote stays a quote."""
    evil = 'a"); import os; ("'
    body = {**without("enrollment_mode"), "enrollment_mode": text(f"archive{evil}", "re_enroll")}
    row = {"summary": "Archive\x1b[2J\n$ rm", "operationId": "archive\x07", **json_body(**body)}
    paths = {"/x/enrollments\x1b[31m": {"post": row}, "/x/archive": {"post": row}}
    report = report_of(without_archive(enrollment=swagger2(paths)), [ARCHIVE])
    assert str(report).replace("\n", "").isprintable()
    names: dict[str, Any] = {"Contract": Contract}
    exec(report.overrides, names)  # noqa: S102
    assert names["contract"].enrollment_mode["unenroll"] == f"archive{evil}"
    assert "os" not in names
