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
    openapi3,
    own_documents,
    serving,
    swagger2,
    takes,
    text,
    verify,
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
    return verify(documents, names, contract=contract)[0]


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
HERE = {"/learn/v1/enrollments": OWN}
BODY = {"$ref": "#/definitions/a~1b%20c"}
BY_PARTS = {
    "allOf": [{"properties": {"course_id": ids(), "user_id": ids()}}],
    "oneOf": [{"anyOf": [{"properties": {"reset_tracking": {}}, "required": ["other"]}]}],
    "properties": {"enrollment_mode": {"oneOf": [{"const": "delete"}, {"const": "re_enroll"}]}},
}


def openapi_body(schema: Any, kind: str = "application/json; charset=utf-8") -> dict[str, Any]:
    """Return an operation of OpenAPI 3 with a body of this kind."""
    return {"requestBody": {"content": {"text/plain": {}, kind: {"schema": schema}}}}


SAME: dict[str, Any] = {
    "a slash at the end": swagger2({"/learn/v1/enrollments/": OWN}),
    "a base path": swagger2({"/enrollments": OWN}, "/learn/v1"),
    "a slash as base path": swagger2(HERE, "/"),
    "a base path that each path repeats": swagger2(HERE, "/learn/v1"),
    "a path of a server": openapi3({"/enrollments": OWN}, "/learn/v1"),
    "a server elsewhere": openapi3({"/enrollments": OWN}, "https://evil.example/learn/v1/"),
    "a server relative to the document": openapi3({"/enrollments": OWN}, "."),
    "the second of the servers": openapi3({"/enrollments": OWN}, "https://[", "/a", "/learn/v1"),
    "a version that is a number": {**swagger2(HERE), "swagger": 2.0},
    "the envelope of other answers": {"data": swagger2(HERE), "version": "1.0.0"},
    "more parameters": swagger2({**HERE, "/learn/v1/enrollments": {
        "put": json_body(**archive_body(("keep", "re_enroll", "delete"), notify=text()))}}),
    "references": swagger2(
        {"/learn/v1/enrollments": {"$ref": "#/definitions/item"}},
        definitions={
            "item": {"put": {"$ref": "#/nowhere", **json_body(), "parameters": [
                {"$ref": "#/parameters/none"}, {"in": "body", "schema": BODY}]}},
            "a/b c": {"properties": archive_body() | {"enrollment_mode": {"$ref": "#/modes"}}},
        },
        modes={"$ref": "#/more"}, more=text("delete", "re_enroll"),
    ),
    "a body in parts": openapi3({"/learn/v1/enrollments": {"put": openapi_body(BY_PARTS)}}),
    "types in a list": swagger2({"/learn/v1/enrollments": {"put": json_body(
        **{**archive_body(), "user_id": {"type": ["null", "array"]}, "course_id": {}})}}),
}  # fmt: skip
ELSEWHERE: dict[str, Any] = {
    "another service's document": {
        "learn": swagger2({}),
        "enrollment": swagger2(HERE),
    },
    "beside one that differs": {
        "learn": swagger2({"/learn/v1/enrollments/": {"put": {}}}),
        "course": swagger2(HERE),
    },
    "its own service unreadable": {
        "learn": Served(b"", 403),
        "enrollment": swagger2(HERE),
    },
}


@pytest.mark.parametrize(
    "documents",
    [*({"learn": document} for document in SAME.values()), *ELSEWHERE.values()],
    ids=[*SAME, *ELSEWHERE],
)
def test_a_call_is_confirmed_however_a_document_writes_it(documents: Any) -> None:
    """Wherever it is listed, method, path and parameters decide."""
    check = check_of({**own_documents(), **documents})
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


NEEDS_MORE = json_body(**archive_body(notify=text()))
NEEDS_MORE["parameters"][0]["schema"]["required"] = ["notify", "user_id"]
NEEDS_A_PAGE = {"parameters": [*json_body(**archive_body())["parameters"],
                               {"name": "page", "in": "query", "required": True}]}  # fmt: skip
FORM = takes("course_id[]", "user_id[]", "enrollment_mode", "reset_tracking", place="formData")
IN_QUERY = [*json_body(**without("enrollment_mode"))["parameters"],
            *takes("enrollment_mode")["parameters"]]  # fmt: skip
DIFFERENT: dict[str, tuple[Any, str]] = {
    "no mode": (json_body(**without("enrollment_mode")),
        "enrollment_mode is not in its body; it takes course_id[], user_id[], reset_tracking ("),
    "nothing at all": ({}, "enrollment_mode, reset_tracking are not in its body; it takes nothing"),
    "mode in the query": ({"parameters": IN_QUERY},
        "it takes course_id[], user_id[], reset_tracking (body); enrollment_mode (query)"),
    "mode in a header": (takes("enrollment_mode", place="header"), "it takes nothing"),
    "form": (FORM, "in its body; it takes course_id[], user_id[], enrollment_mode, reset_"),
    "one user": (json_body(**{**archive_body(), "user_id": {"type": "integer"}}),
        "user_id[] is not in its body; it takes course_id[], user_id, enrollment_mode, reset"),
    "several modes": (json_body(**{**archive_body(), "enrollment_mode": ids()}),
        "enrollment_mode is not in its body; it takes course_id[], user_id[], enrollment_mode[], "),
    "another value": (json_body(**archive_body(("archive", "re_enroll"))),
        "enrollment_mode takes archive, re_enroll, not delete (unenroll)"),
    "another value by reference": (json_body(**{**archive_body(), "enrollment_mode": {"oneOf": [
        {"const": "archive"}, {"enum": [1, 2, None, True, ["x"], "\x1b[2J"]}]}}),
        "enrollment_mode takes archive, 1, 2, not delete (unenroll)"),
    "needs more": (NEEDS_MORE, "notify is required, but not sent"),
    "needs more in the query": (NEEDS_A_PAGE, "page is required, but not sent"),
    "many others": (json_body(**{f"p{n}": text() for n in range(12)}), "p8, p9, ... (body)"),
    "names that cannot be sent": (json_body(**{"a\x1b[31m": {}, "b" * 301: {}, "c": ids()}),
        "it takes c[] (body)"),
    "in an object": (json_body(data={"properties": archive_body()}), "it takes data, data."),
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
        f"user_id[] is not in its query; it takes {', '.join([*names, 'extra_fields[]'])} (query)",
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
        platform.answers["GET /learn/v1/swagger"] = archive_call()["learn"]
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
        platform.answers["GET /api-docs/learn.json"] = archive_call()["learn"]
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
        UnconfirmedContractError, match=r"takes delete, not re_enroll \(re-enroll\)"
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
        values = {"course_id": 71, "user_ids": [5, 6], "mode": modes["unenroll"]}
        assert suggested.operations[ARCHIVE].request(**values, reset_tracking=False).is_write
        other.session.call(ARCHIVE, **values, reset_tracking=False)
        sent = platform.asked[-1]
    assert (sent.method, sent.path) == call
    decode = json.loads if "json" in sent.kind else parse_qsl
    assert decode(sent.body) == decode(body)


ARCHIVED_LIST = {
    "get": takes("page", "page_size", "archived_from", "userIds[]"),
    "delete": json_body(archived_ids=ids()),
}
LIST = "archived_course_enrollments"
OVERRIDES: dict[str, tuple[str, Any, str]] = {
    "a read in another version": ("list_courses",
        swagger2({"/course/v2/courses/": {"get": takes("q", "search_text", "page", "page_size")}}),
        '.with_operation("list_courses", path="/course/v2/courses/")'),
    "a read with other names": ("get_job",
        swagger2({"/jobs/v2/job/{hash}": {"get": {}}}),
        '.with_operation("get_job", path="/jobs/v2/job/{job_id}", service="jobs")'),
    "an archived list without some filters": (LIST,
        swagger2({"/enrollment/v1/archived-enrollments/courses/{id}": ARCHIVED_LIST}),
        '"user_ids": "userIds[]"},\n    fixed={"get_cursor": None},'),
    "deletion of archived records": (f"delete_{LIST}",
        swagger2({"/enrollment/v1/archived-enrollments/courses/{id}": ARCHIVED_LIST}),
        'params={"record_ids": "archived_ids[]"},'),
    "other keys": (ARCHIVE,
        swagger2({"/learn/v1/enrollments": {"put": json_body(
            courses=ids(), users=ids(), enrollment_mode={}, resetTracking={})}}),
        '"course_id": "courses[]", "user_ids": "users[]", "reset_tracking": "resetTracking"'),
    "keys in an object": (ARCHIVE,
        swagger2({"/learn/v1/enrollments": {"put": json_body(
            data={"properties": archive_body()})}}),
        '"course_id": "data.course_id[]", "user_ids": "data.user_id[]", "mode": "data.enrollment_'),
    "other words for the modes": (ARCHIVE,
        swagger2({"/learn/v1/enrollments": {
            "put": json_body(**archive_body(("remove", "reEnrol")))}}),
        '.with_enrollment_mode("unenroll", "remove")\n.with_enrollment_mode("re-enroll", "reE'),
    "another word for one mode": (ARCHIVE,
        swagger2({"/learn/v2/enrollments": {
            "put": json_body(**archive_body(("delete", "archive_and_reenroll")))}}),
        'path="/learn/v2/enrollments")\n.with_enrollment_mode("re-enroll", "archive_and_reenr'),
}  # fmt: skip


@pytest.mark.parametrize(("name", "document", "call"), OVERRIDES.values(), ids=OVERRIDES.keys())
def test_a_single_candidate_has_the_override_that_is_confirmed(
    name: str, document: Any, call: str
) -> None:
    """A call that moved, takes other keys or other words for a mode is named with its override."""
    empty = dict.fromkeys(("learn", "course", "manage"), swagger2({}))
    documents = without_archive(**empty, enrollment=document)
    report = report_of(documents, [name])
    (candidate,) = report[name].candidates
    assert call in candidate.override
    assert report_of(documents, [name], report.suggested_contract()).confirmed(name)


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


IN_PART: dict[str, tuple[Any, str]] = {
    "two values that may mean a mode": (json_body(**archive_body(("unenroll", "remove", "again"))),
        "enrollment_mode takes unenroll, remove, again, not delete (unenroll)"),
    "needs more": (NEEDS_MORE, "notify is required, but not sent"),
}  # fmt: skip


@pytest.mark.parametrize(("row", "left"), IN_PART.values(), ids=IN_PART.keys())
def test_a_candidate_names_what_still_differs_with_its_override(row: Any, left: str) -> None:
    """The contract that is suggested does not confirm the call then."""
    documents = without_archive(enrollment=swagger2({"/learn/v2/archive": {"post": row}}))
    report = report_of(documents, [ARCHIVE])
    (candidate,) = report[ARCHIVE].candidates
    assert 'path="/learn/v2/archive"' in candidate.override
    assert candidate.obstacles[0] == left
    assert f"still differs: {left}" in str(report)
    check = report_of(documents, [ARCHIVE], report.suggested_contract())[ARCHIVE]
    assert (check.state, check.faults) == ("differs", candidate.obstacles)


def test_at_most_three_candidates_are_named_the_confirmed_ones_first() -> None:
    """The first candidate is the one that its override confirms."""
    paths = {
        f"/{letter}/v1/enrollments/archive": {
            "post": json_body(**archive_body(("delete",) if letter < "d" else ()))
        }
        for letter in "abcd"
    }
    check = check_of(without_archive(enrollment=swagger2(paths)))
    letters = [candidate.path[1] for candidate in check.candidates]
    assert letters == ["d", "a", "b"]


def test_the_error_of_an_unconfirmed_call_shows_the_override_and_survives_a_pickle() -> None:
    """The error names the call, the candidate, and the override to paste."""
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
