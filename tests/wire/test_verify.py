"""The contract judged by what a platform says of itself, always over HTTP."""

import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from swagger_documents import (
    ARCHIVE,
    ARCHIVE_PLAN,
    NOISE,
    WRITES,
    Platform,
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
    without_archive,
)

from lms_archive import Client, Contract, InvalidInputError, PasswordGrant, StaticToken
from lms_archive.errors import (
    AuthenticationError,
    LmsArchiveError,
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


def judged(documents: Any, name: str = ARCHIVE, contract: Contract | None = None) -> OperationCheck:
    """What a platform of these documents says about one operation."""
    with serving(documents) as platform, platform.client(contract=contract) as client:
        return client.verify_contract([name])[name]


def test_the_sandbox_confirms_what_it_answers() -> None:
    """The sandbox's swagger confirms every row of the contract that it has a route for."""
    with Sandbox() as sandbox, sandbox.client() as client:
        report = client.verify_contract()
        asked = [call.operation for call in sandbox.calls]
    assert [one.operation for one in report] == CHECKED
    answered = {route.operation for route in ROUTES}
    answered |= {f"{name}_select_all" for name in answered if name.startswith("archive_")}
    assert {one.operation for one in report if one.state == "confirmed"} == answered
    assert {one.state for one in report if one.operation not in answered} <= {"not_listed"}
    assert asked.count("swagger") == client.session.calls["swagger"] <= 5


def test_our_own_documents_confirm_everything() -> None:
    """Where every row stands as it is, all is confirmed, with the calls that are needed."""
    with serving(own_documents()) as platform, platform.client() as client:
        report = client.verify_contract()
        assert client.session.calls == {"microservices": 1, "swagger": 4}
    assert {one.state for one in report} == {"confirmed"}
    assert report.suggested_contract() == DEFAULT
    assert report.overrides == ""
    assert f"{len(CHECKED)} of {len(CHECKED)} operations confirmed, 6 of 6 writes" in str(report)


LOOP = {"allOf": [{"$ref": "#/definitions/Node"}], "properties": archive_body()}
SAME: dict[str, Any] = {
    "as it is": archive_call(),
    "a slash at the end": archive_call(path="/learn/v1/enrollments/"),
    "a base path": archive_call(path="/enrollments", base="/learn/v1"),
    "a base path and a whole path": archive_call(base="/learn/v1"),
    "a loop": archive_call(
        row={"parameters": [{"in": "body", "name": "b", "schema": {"$ref": "#/definitions/Node"}}]},
        definitions={"Node": {**LOOP, "properties": {**archive_body(), "up": LOOP}}},
    ),
    "more parameters": archive_call(row=json_body(**archive_body(notify={"type": "boolean"}))),
    "a mode more": archive_call(row=json_body(**archive_body(("keep", "re_enroll", "delete")))),
    "five megabytes": archive_call(
        definitions={f"D{number}": {"description": "x" * 100_000} for number in range(50)}
    ),
    "openapi 3 of another host": {
        **own_documents(),
        "learn": openapi3(
            {"/enrollments": {"put": {"requestBody": {"content": {"application/json": {
                "schema": {"properties": archive_body()}}}}}}},
            "https://evil.example/learn/v1",
        ),
    },
    "in another service's document": {
        **own_documents(),
        "learn": swagger2({}),
        "enrollment": swagger2({"/learn/v1/enrollments": {"put": json_body(**archive_body())}}),
    },
    "beside one that differs": {
        **own_documents(),
        "learn": swagger2({"/learn/v1/enrollments/": {"put": {}}}),
        "course": swagger2({"/learn/v1/enrollments": {"put": json_body(**archive_body())}}),
    },
    "its own service unreadable": {
        **own_documents(),
        "learn": Served(b"", 403),
        "enrollment": swagger2({"/learn/v1/enrollments": {"put": json_body(**archive_body())}}),
    },
}  # fmt: skip


@pytest.mark.parametrize("documents", SAME.values(), ids=SAME.keys())
def test_confirmed(documents: Any) -> None:
    """However a document writes it, the same call is confirmed."""
    judgement = judged(documents)
    assert (judgement.state, judgement.faults, judgement.candidates) == ("confirmed", (), ())


def test_only_this_platform_is_asked() -> None:
    """A server on another host is not called: the library asks at the base URL alone."""
    elsewhere = openapi3({"/learn/v1/enrollments": {"put": {}}})
    with (
        serving({"learn": elsewhere}) as other,
        serving(
            {"learn": openapi3({"/x": {"$ref": f"{other.url}/learn/v1/swagger"}}, other.url)}
        ) as platform,
        platform.client() as client,
    ):
        assert client.verify_contract([ARCHIVE])[ARCHIVE].state == "not_listed"
        assert other.asked == []


def test_placeholders_of_other_names() -> None:
    """A path is the same whatever its places are called, unless they are for something else."""
    described = takes("user_id[]", "enrollment_status[]", "page", "page_size", "cursor",
                      "extra_fields[]", "get_cursor")  # fmt: skip
    for place, state in {"id": "confirmed", "courseId": "confirmed", "user_id": "differs"}.items():
        path = f"/courses/{{{place}}}/enrollments"
        documents = {"course": swagger2({path: {"get": described}}, "/course/v1")}
        judgement = judged(documents, "course_enrollments")
        assert judgement.state == state, place
    assert judgement.faults == ("its path has {user_id} instead of {course_id}",)


def without(name: str) -> dict[str, Any]:
    """The body of the archive call, one property less."""
    return {key: value for key, value in archive_body().items() if key != name}


def form_row() -> dict[str, Any]:
    """The archive call with a form."""
    names = ("course_id[]", "user_id[]", "enrollment_mode", "reset_tracking")
    return takes(*names, place="formData")


def needing(*names: str) -> dict[str, Any]:
    """The archive call with something it cannot do without."""
    row = json_body(**archive_body(notify=text()))
    row["parameters"][0]["schema"]["required"] = list(names)
    return row


DIFFERENT: dict[str, tuple[Any, str]] = {
    "no mode": (json_body(**without("enrollment_mode")),
        "enrollment_mode is not in its body; it takes course_id, user_id, reset_tracking (body)"),
    "nothing at all": ({}, "enrollment_mode, reset_tracking are not in its body; it takes nothing"),
    "mode in the query": (
        {"parameters": [*json_body(**without("enrollment_mode"))["parameters"],
                        *takes("enrollment_mode")["parameters"]]},
        "it takes course_id, user_id, reset_tracking (body); enrollment_mode (query)"),
    "form": (form_row(), "in its body; it takes course_id[], user_id[], enrollment_mode, reset_"),
    "inside": (json_body(data={"properties": archive_body()}),
        "are not in its body; it takes data, data.course_id, data.user_id, "),
    "one user": (json_body(**{**archive_body(), "user_id": {"type": "integer"}}),
        "user_id takes one value, but a list is sent"),
    "several modes": (json_body(**{**archive_body(), "enrollment_mode": ids()}),
        "enrollment_mode takes a list, but one value is sent"),
    "another value": (json_body(**archive_body(("archive", "re_enroll"))),
        "enrollment_mode takes archive, re_enroll, not delete (unenroll)"),
    "needs more": (needing("notify", "user_id"), "notify is required, but not sent"),
    "another spelling": (json_body(**{**without("user_id"), "userId": ids()}),
        "user_id is not in its body; it takes course_id, enrollment_mode, reset_tracking, userId"),
    "many others": (json_body(**{f"p{n}": text() for n in range(5_000)}), "p8, p9, ... (body)"),
}  # fmt: skip


@pytest.mark.parametrize(("row", "fault"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_differs(row: Any, fault: str) -> None:
    """A call that takes something else is said to differ, and in what."""
    judgement = judged(archive_call(row=row))
    assert judgement.state == "differs"
    assert any(fault in one for one in judgement.faults), judgement.faults
    assert fault in str(judgement)


def test_a_read_that_differs() -> None:
    """A read differs by the spelling of a filter, and by values that are always sent."""
    sent = "enrollment_status, enrollment_time_spent"
    names = ("user_id", "enrollment_status[]", "page", "page_size", "cursor", "get_cursor")
    described = takes(*names)
    described["parameters"].append(
        {
            "name": "extra_fields[]",
            "in": "query",
            "type": "array",
            "items": text("enrollment_status"),
        }
    )
    path = "/course/v1/courses/{id}/enrollments"
    judgement = judged({"course": swagger2({path: {"get": described}})}, "course_enrollments")
    assert judgement.state == "differs"
    assert judgement.faults == (
        f"user_id is not in its query; it takes {', '.join([*names, 'extra_fields[]'])} (query)",
        f"extra_fields[] takes enrollment_status, not all of {sent}",
    )


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("post", "the path is listed with POST only"),
        ("delete", "the path is listed with DELETE only"),
    ],
)
def test_the_same_path_under_another_method(method: str, fault: str) -> None:
    """Another method on the same path is another call, whatever it takes."""
    documents = archive_call(method=method)
    judgement = judged(documents)
    assert (judgement.state, judgement.faults) == (
        "not_listed",
        (f"not listed in the swagger: {fault}",),
    )


def test_a_literal_is_no_placeholder() -> None:
    """A path whose literal stands where ours has a place is another path."""
    name = "course_enrollments"
    own = own_documents()["course"]["paths"]["/course/v1/courses/{course_id}/enrollments"]
    documents = {"course": swagger2({"/course/v1/courses/archived/enrollments": own})}
    judgement = judged(documents, name)
    assert (judgement.state, judgement.faults) == ("not_listed", ("not listed in the swagger",))


YAML = b"swagger: '2.0'\npaths:\n  /learn/v1/enrollments:\n    put: {}\n"
HTML = b"<!doctype html><html><head><title>Sign in</title></head></html>"
UNREADABLE: dict[str, tuple[Any, str]] = {
    "yaml": (Served(YAML, kind="application/yaml"), "200 not JSON (application/yaml)"),
    "html": (Served(HTML, kind="text/html"), "200 the platform answered with a web page: Sign in"),
    "html that is forbidden": (Served(HTML, 403, "text/html"), "403 an HTML page: Sign in"),
    "401": (Served(b'{"message": "who are you"}', 401), "401 who are you"),
    "403": (Served(b'{"message": "not for you"}', 403), "403 not for you"),
    "404": (Served(b"", 404), "404"),
    "a redirect": (Served(b"", 302, headers={"Location": "/login"}), "302 redirects to /login"),
    "500": (Served(b"oops", 500), "500 oops"),
    "empty": (Served(b""), "not a JSON object"),
    "no swagger": ({"data": {"items": []}}, "neither Swagger 2.0 nor OpenAPI 3"),
    "half of it": (Served(b'{"swagger": "2.0", "pa'), "200 not JSON"),
    "too deep": (Served(b'{"a":' * 3_000 + b"1" + b"}" * 3_000), "nested too deeply"),
}


@pytest.mark.parametrize(("document", "why"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_unreadable(document: Any, why: str) -> None:
    """What is no swagger makes its rows unreadable, and says why in one line."""
    with serving({"learn": document}) as platform, platform.client() as client:
        report = client.verify_contract([ARCHIVE])
    (fault,) = report[ARCHIVE].faults
    assert report[ARCHIVE].state == "unreadable"
    assert fault.startswith("GET /learn/v1/swagger: ")
    assert why in fault
    assert report.unreadable["learn"] == fault
    assert not report.confirmed(ARCHIVE)


def test_no_connection_is_no_judgement() -> None:
    """A platform that cannot be reached is an error, not an unreadable contract."""
    with serving({}) as platform:
        client = platform.client()
    with client, pytest.raises(PlatformUnavailableError):
        client.verify_contract()


def test_a_failed_login_is_no_judgement() -> None:
    """A login that fails is an error, not an unreadable contract."""
    with Sandbox() as sandbox:
        grant = PasswordGrant("a", "b", "c", "d")
        with Client(sandbox.url, grant) as client, pytest.raises(AuthenticationError):
            client.verify_contract()


def test_429_for_too_long_is_no_judgement() -> None:
    """A platform that wants hours of patience is an error, not an unreadable contract."""
    documents = {"learn": Served(b"", 429, headers={"Retry-After": "9999"})}
    with (
        serving(documents) as platform,
        platform.client() as client,
        pytest.raises(RateLimitError),
    ):
        client.verify_contract([ARCHIVE])


def test_documents_are_read_once() -> None:
    """Copies of a client ask no document twice, refused ones neither; another account asks."""
    documents = {**own_documents(), "manage": Served(b"", 403)}
    with serving(documents) as platform, platform.client() as client:
        client.verify_contract()
        assert [one.path for one in platform.asked].count("/manage/v1/swagger") == 2
        asked = len(platform.asked)
        client.verify_contract()
        copy = client.with_options(contract=DEFAULT.with_enrollment_mode("unenroll", "x"))
        assert copy.verify_contract([ARCHIVE]).confirmed(ARCHIVE)
        assert len(platform.asked) == asked
        client.with_options(auth=StaticToken("another")).verify_contract([ARCHIVE])
        assert len(platform.asked) == asked + 2  # for the addresses too


def test_a_bad_moment_is_not_remembered() -> None:
    """After a 503 the document is asked for again the next time."""
    documents = {**own_documents(), "learn": Served(b"", 503)}
    with serving(documents) as platform, platform.client() as client:
        assert client.verify_contract([ARCHIVE])[ARCHIVE].state == "unreadable"
        good = json.dumps(archive_call()["learn"]).encode()
        platform.answers["GET /learn/v1/swagger"] = Served(good)
        assert client.verify_contract([ARCHIVE])[ARCHIVE].state == "confirmed"


def test_a_platform_below_a_path() -> None:
    """A base URL with a path of its own is asked there, and its documents are read from there."""
    documents = archive_call(path="/enrollments", base="/lms/learn/v1")
    with serving(documents, "/lms") as platform, platform.client() as client:
        assert client.verify_contract([ARCHIVE]).confirmed(ARCHIVE)
        asked = [one.path for one in platform.asked]
        assert asked == ["/lms/manage/v1/site/microservices", "/lms/learn/v1/swagger"]


def test_the_place_of_the_documents_is_in_the_contract() -> None:
    """A platform that keeps its swagger elsewhere is an override like any other."""
    contract = DEFAULT.with_operation("swagger", path="/api-docs/{service}.json")
    with serving({}) as platform, platform.client(contract=contract) as client:
        good = json.dumps(archive_call()["learn"]).encode()
        platform.answers["GET /api-docs/learn.json"] = Served(good)
        assert client.verify_contract([ARCHIVE]).confirmed(ARCHIVE)


@pytest.mark.parametrize("name", ["token", "microservices", "swagger", "archive"])
def test_what_is_not_judged(name: str) -> None:
    """Token, swagger and unknown names are refused before anything is asked."""
    with serving({}) as platform, platform.client() as client:
        with pytest.raises(
            InvalidInputError, match=f"operation '{name}' cannot be verified; these can: "
        ):
            client.verify_contract([name])
        assert platform.asked == []


def test_modes_are_judged_one_by_one() -> None:
    """A platform that lacks one mode's value can still be confirmed for the other."""
    documents = archive_call(row=json_body(**archive_body(("delete",))))
    with serving(documents) as platform, platform.client() as client:
        report = client.verify_contract([ARCHIVE])
    assert report[ARCHIVE].modes == ("re-enroll",)
    assert not report.confirmed(ARCHIVE)
    assert report.confirmed(ARCHIVE, "unenroll")
    assert not report.confirmed(ARCHIVE, "re-enroll")
    report.require(ARCHIVE, mode="unenroll")
    with pytest.raises(
        UnconfirmedContractError, match="none of its values clearly means re-enroll"
    ):
        report.require(ARCHIVE, mode="re-enroll")
    worse = judged(archive_call(row=json_body(**{**archive_body(("delete",)), "user_id": text()})))
    assert not worse.confirmed("unenroll")


def test_values_that_are_not_listed() -> None:
    """Where the platform lists no values the row is confirmed, and says what is left open."""
    judgement = judged(archive_call(row=json_body(**archive_body(()))))
    assert judgement.state == "confirmed"
    assert judgement.notes == (
        "the values of enrollment_mode are not listed, so they are not confirmed",
    )
    assert judgement.notes[0] in str(judgement)


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


@pytest.fixture(params=list(FOREIGN.values()), ids=list(FOREIGN))
def foreign(request: pytest.FixtureRequest) -> Iterator[tuple[Platform, Client, Any]]:
    """A platform whose archive calls are others than ours, its client, and what they are."""
    documents, *expected = request.param
    with serving(documents()) as platform, platform.client() as client:
        yield platform, client, expected


def test_foreign_contracts_are_proposed(foreign: tuple[Platform, Client, Any]) -> None:
    """What is proposed for a foreign platform is confirmed by it, without another call."""
    platform, client, (modes, call, _) = foreign
    report = client.verify_contract([ARCHIVE, ARCHIVE_PLAN])
    assert {one.state for one in report} == {"not_listed"}
    assert report[ARCHIVE].candidates[0].method == call[0]
    suggested = report.suggested_contract()
    assert suggested.enrollment_mode == modes
    assert suggested.operations[ARCHIVE].evidence == "proposed from the platform's own swagger"
    asked = len(platform.asked)
    again = client.with_options(contract=suggested).verify_contract([ARCHIVE, ARCHIVE_PLAN])
    assert [one.state for one in again] == ["confirmed"] * 2, str(again)
    assert len(platform.asked) == asked
    assert client.session.settings.contract == DEFAULT


def test_foreign_overrides_can_be_pasted(foreign: tuple[Platform, Client, Any]) -> None:
    """The printed overrides are Python, and make the suggested contract."""
    _, client, _ = foreign
    report = client.verify_contract([ARCHIVE, ARCHIVE_PLAN])
    names: dict[str, Any] = {"Contract": Contract}
    exec(report.overrides, names)  # noqa: S102  what a user would paste
    pasted, suggested = names["contract"], report.suggested_contract()
    assert pasted.enrollment_mode == suggested.enrollment_mode
    for name in (ARCHIVE, ARCHIVE_PLAN):
        row, other = pasted.operations[name], suggested.operations[name]
        assert (row.method, row.path, row.params, row.sends, row.service) == (
            other.method, other.path, other.params, other.sends, other.service,
        )  # fmt: skip
    each = Contract.default()
    for judgement in report:
        lines = judgement.candidates[0].override
        assert lines in "\n".join(line.strip() for line in str(judgement).splitlines()) or all(
            line.strip() in str(judgement) for line in lines.splitlines()
        )
        each = eval(f"(each\n{lines})", {"each": each})  # noqa: S307  likewise
    assert each == pasted


def test_foreign_calls_arrive(foreign: tuple[Platform, Client, Any]) -> None:
    """A call of the suggested contract reaches the platform as its swagger wants it."""
    platform, client, (_, (method, path), body) = foreign
    contract = client.verify_contract([ARCHIVE]).suggested_contract()
    platform.answers[f"{method} {path}"] = Served(b"{}")
    mode = contract.enrollment_mode["unenroll"]
    given = {"course_id": 71, "user_ids": [5, 6], "mode": mode, "reset_tracking": False}
    assert contract.operations[ARCHIVE].request(**given).is_write
    client.with_options(contract=contract).session.call(ARCHIVE, **given)
    sent = platform.asked[-1]
    assert (sent.method, sent.path) == (method, path)
    decode = json.loads if "json" in sent.kind else parse_qsl
    assert decode(sent.body) == decode(body)


def test_the_archived_list_moved() -> None:
    """The archived list and the deletion are proposed too, filters they lack left out."""
    item = {
        "get": takes("page", "page_size", "archived_from", "userIds[]"),
        "delete": json_body(archived_ids=ids()),
    }
    documents = without_archive(
        enrollment=swagger2({"/enrollment/v1/archived-enrollments/courses/{id}": item})
    )
    names = ["archived_course_enrollments", "delete_archived_course_enrollments"]
    with serving(documents) as platform, platform.client() as client:
        report = client.verify_contract(names)
        suggested = report.suggested_contract()
        again = client.with_options(contract=suggested).verify_contract(names)
    row = suggested.operations[names[0]]
    assert row.path == "/enrollment/v1/archived-enrollments/courses/{course_id}"
    assert row.params == {
        "user_ids": "userIds[]",
        "archived_from": "archived_from",
        "page": "page",
        "page_size": "page_size",
    }
    assert row.fixed == {"get_total_count": 1}
    assert [one.state for one in again] == ["confirmed", "confirmed"]


def test_a_read_in_another_version() -> None:
    """A read that only has another service or version is proposed with its names."""
    described = takes("q", "search_text", "page", "page_size")
    documents = {"course": swagger2({"/course/v2/courses/": {"get": described}})}
    judgement = judged(documents, "list_courses")
    (near,) = judgement.candidates
    assert near.override == '.with_operation("list_courses", path="/course/v2/courses/")'


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_noise_is_no_archive_operation(noise: Any) -> None:
    """Nothing in another product's specification, or of another kind, is proposed."""
    documents = without_archive()
    for service, document in documents.items():
        document["paths"] |= noise["paths"] if service == "learn" else {}
    for served in (documents, dict.fromkeys(documents, noise)):
        with serving(served) as platform, platform.client() as client:
            report = client.verify_contract(ARCHIVING)
        assert [one.operation for one in report if one.state == "confirmed"] == []
        assert [near for one in report for near in one.candidates] == []
        assert report.suggested_contract() == DEFAULT
        assert report.overrides == ""
        assert str(report).count("    no candidate\n") == len(ARCHIVING)


def test_each_kind_keeps_to_its_own() -> None:
    """A plan's archive call is not proposed for courses, nor a list for a call."""
    named = {
        judgement.operation: {(near.method, near.path) for near in judgement.candidates}
        for judgement in _all_moved()
    }
    assert set(named) == set(ARCHIVING)
    calls = [
        call
        for name, found in named.items()
        for call in found
        if not name.endswith("_select_all")  # another form of a call that is there
    ]
    assert len(calls) == len(set(calls)) == len(ARCHIVING) - 2


def _all_moved() -> ContractReport:
    rows = {}
    for document in own_documents().values():
        for path, item in document["paths"].items():
            kept = {m: row for m, row in item.items() if row["operationId"] in ARCHIVING}
            rows[path.replace("/v1/", "/v9/")] = kept
    others = dict.fromkeys(("course", "learn", "learningplan"), swagger2({}))
    documents = {"enrollment": swagger2(rows), **others}
    with serving(documents) as platform, platform.client() as client:
        return client.verify_contract(ARCHIVING)


INEXPRESSIBLE: dict[str, tuple[str, Any, str]] = {
    "one user a call": ("/learn/v1/courses/{course_id}/users/{user_id}/enrollments/archive",
        json_body(enrollment_mode=text(), reset_tracking=text()), "its path needs {user_id}"),
    "ids of enrollments": ("/enrollment/v1/enrollments/archive",
        json_body(enrollment_ids=ids(), enrollment_mode=text(), reset_tracking=text()),
        "it has no evident place for user_ids"),
    "in a list": ("/learn/v1/enrollments/archive",
        json_body(data={"type": "array", "items": {"properties": archive_body()}}),
        "it has no evident place for user_ids"),
    "one user in the body": ("/learn/v1/enrollments/archive",
        json_body(**{**archive_body(), "user_id": {"type": "integer"}}), "takes one value"),
    "needs more": ("/learn/v1/enrollments/archive", needing("notify"), "notify is required"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "row", "obstacle"), INEXPRESSIBLE.values(), ids=INEXPRESSIBLE.keys()
)
def test_what_no_override_can_say(path: str, row: Any, obstacle: str) -> None:
    """A near operation that the contract cannot express is named, with what is in the way."""
    documents = without_archive(enrollment=swagger2({path: {"post": row}}))
    with serving(documents) as platform, platform.client() as client:
        report = client.verify_contract([ARCHIVE])
    (near,) = report[ARCHIVE].candidates
    assert (near.path, near.override) == (path, "")
    assert any(obstacle in one for one in near.obstacles), near.obstacles
    assert obstacle in str(report)
    assert report.suggested_contract() == DEFAULT


def test_the_likeliest_comes_first() -> None:
    """Of several the one with both of the reply's parameters comes before words alone."""
    body = archive_body()
    words = json_body(course_id=ids(), user_ids=ids())
    paths = {
        "/a/v1/enrollments/archive": {"post": {"operationId": "archive", **words}},
        "/z/v1/enrollments/many": {"post": {"summary": "Archive enrollments", **json_body(**body)}},
    }
    judgement = judged(without_archive(enrollment=swagger2(paths)))
    assert [near.path for near in judgement.candidates] == [
        "/z/v1/enrollments/many", "/a/v1/enrollments/archive",
    ]  # fmt: skip
    assert judgement.candidates[1].obstacles == (
        "it has no evident place for mode", "it has no evident place for reset_tracking",
    )  # fmt: skip


def test_values_that_could_be_either() -> None:
    """Two values that could mean a mode are told, and none of them is proposed."""
    row = json_body(**archive_body(("unenroll", "remove", "again")))
    judgement = judged(archive_call(row=row))
    (near,) = judgement.candidates
    assert (near.override, near.modes) == ("", {})
    assert near.obstacles == (
        "none of its values clearly means unenroll: unenroll, remove, again",
        "none of its values clearly means re-enroll: unenroll, remove, again",
    )


def test_the_error() -> None:
    """The error names the call, the nearest and its override, and survives pickling."""
    with serving(moved()) as platform, platform.client() as client:
        report = client.verify_contract([ARCHIVE])
    with pytest.raises(UnconfirmedContractError) as caught:
        report.require(ARCHIVE)
    assert isinstance(caught.value, LmsArchiveError)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):  # noqa: S301  our own
        assert error.report == report
        words = str(error)
        assert "nothing was sent" in words
        assert "PUT /learn/v1/enrollments" in words
        assert "POST /course/v1/courses/{courseId}/enrollments/archive" in words
        assert f'.with_operation(\n            "{ARCHIVE}",' in words
        assert '.with_enrollment_mode("unenroll", "archive")' in words


def test_require_what_is_confirmed() -> None:
    """What is confirmed raises nothing; what was not judged is a KeyError."""
    with serving(own_documents()) as platform, platform.client() as client:
        report = client.verify_contract(WRITES)
    report.require(*WRITES)
    with pytest.raises(KeyError):
        report.require("list_jobs")


def test_hostile_words_do_not_reach_the_screen() -> None:
    """Control characters of a platform are not printed, and quotes cannot leave an override."""
    evil = 'a"); import os; ("'
    body = {**without("enrollment_mode"), "enrollment_mode": text(f"archive{evil}", "re_enroll")}
    row = {"summary": "Archive\x1b[2J\n$ rm", "operationId": "archive\x07", **json_body(**body)}
    documents = without_archive(
        enrollment=swagger2({"/x/enrollments\x1b[31m": {"post": row}, "/x/archive": {"post": row}})
    )
    with serving(documents) as platform, platform.client() as client:
        report = client.verify_contract([ARCHIVE])
    assert str(report).replace("\n", "").isprintable()
    names: dict[str, Any] = {"Contract": Contract}
    exec(report.overrides, names)  # noqa: S102
    assert names["contract"].enrollment_mode["unenroll"] == f"archive{evil}"
    assert "os" not in names
