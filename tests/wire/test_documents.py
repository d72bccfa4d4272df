"""Where the swagger documents are found, who asks for them, and what is kept of them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from swagger_documents import (
    ARCHIVE,
    Secured,
    Served,
    archive_call,
    own_documents,
    serving,
    verify,
    without_archive,
)

from lms_archive import Contract, InvalidInputError
from lms_archive.wire.documents import FolderDocuments, PlatformDocuments
from lms_archive.wire.verify import check_contract

MICROSERVICES = "/manage/v1/site/microservices"
HTML = b"<!doctype html><html><head><title>Sign in</title></head></html>"

ADDRESSES = {
    "absolute": "{url}/docs/learn.json",
    "with a query": "{url}/docs/learn.json?service=learn&format=json",
    "absolute, of another scheme": "https://127.0.0.1/docs/learn.json",
    "relative to the platform": "docs/learn.json",
    "from the root": "/docs/learn.json",
    "in capitals": "HTTP://127.0.0.1/docs/learn.json",
}


@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES.keys())
def test_the_platform_says_where_a_document_is(address: str) -> None:
    """The address is read from microservices; the platform itself is asked, whatever its form."""
    with serving({}, listed={"learn": address}) as platform, platform.client() as client:
        query = "".join(address.partition("?")[1:])
        platform.answers[f"GET /docs/learn.json{query}"] = archive_call()["learn"]
        report = client.verify_contract([ARCHIVE])
        assert [call.path for call in platform.asked][1:] == [f"/docs/learn.json{query}"]
    assert report.confirmed(ARCHIVE)
    assert "found by GET /manage/v1/site/microservices" in str(report)
    assert "/docs/learn.json (1 operation)" in str(report)


@pytest.mark.parametrize(
    "listed",
    [{"LMS core": "{url}/learn/v1/swagger"}, {"audit": "{url}/audit/v1/swagger"}],
    ids=["under another name", "not at all"],
)
def test_a_document_is_found_however_its_service_is_listed(listed: dict[str, str]) -> None:
    """The beginning of its address says of which service it is, or the usual place has it."""
    report, asked = verify(own_documents(), [ARCHIVE], listed=listed)
    assert [call.path for call in asked] == [MICROSERVICES, "/learn/v1/swagger"]
    assert report.confirmed(ARCHIVE)


ELSEWHERE = [
    "https://evil.example/learn/v1/swagger",
    "//evil.example/learn/v1/swagger",
    "https://127.0.0.1@evil.example/learn/v1/swagger",
    "http://user@127.0.0.1/docs",
    "http://127.0.0.1:1/docs",
    "http://127.0.0.1:99999/docs",
    "http://127.0.0.1//evil.example/docs",
    "",
]


@pytest.mark.parametrize("address", ELSEWHERE)
def test_no_other_host_is_followed(address: str) -> None:
    """An address elsewhere, or one that is none, is not asked; the usual one is."""
    report, asked = verify(own_documents(), [ARCHIVE], listed={"learn": address})
    assert [call.path for call in asked] == [MICROSERVICES, "/learn/v1/swagger"]
    assert report.confirmed(ARCHIVE)
    assert "lists no documents" in report.source


def test_documents_on_another_host_only_are_named() -> None:
    """Where the platform is asked under its second name, the report says which is the first."""
    listed = {"learn": "https://acme.example.com/learn/v1/swagger"}
    report, _ = verify({}, [ARCHIVE], listed=listed)
    assert "lists no documents on this host, but on acme.example.com" in str(report)


REFUSED: dict[str, tuple[Served, str]] = {
    "forbidden": (Served(b'{"message": "not for you"}', 403), "403 not for you"),
    "missing": (Served(b"", 404), "404"),
    "a page": (Served(HTML, kind="text/html"), "200"),
    "a redirect": (Served(b"", 302, headers={"Location": "/login"}), "302"),
    "another shape": (Served(b'{"data": {"items": []}}'), "lists no documents"),
    "nothing": (Served(b""), "lists no documents"),
    "odd entries": (Served(b'{"data": [1, {"app": 5, "url": null}, {}]}'), "lists no documents"),
}


@pytest.mark.parametrize(("answer", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_without_a_list_the_usual_addresses_are_asked(answer: Served, reason: str) -> None:
    """However the list is refused, the documents are looked for, and the report says why."""
    report, _ = verify(own_documents(), listed=answer)
    assert {check.state for check in report} == {"confirmed"}
    line = next(line for line in str(report).splitlines() if line.startswith("Documents, "))
    assert line.startswith(
        f"Documents, looked for at /{{service}}/v1/swagger, because GET {MICROSERVICES}"
    )
    assert reason in line


def test_the_list_is_asked_for_with_the_token_and_documents_without() -> None:
    """The list is asked for with the token, like a page of the platform; documents are not."""
    listed = {"learn": "{url}/learn/v1/swagger"}
    _, asked = verify(own_documents(), [ARCHIVE], listed=listed)
    first, second = (call.headers for call in asked)
    assert first["Authorization"] == "Bearer a-token"
    assert first["Accept"] == second["Accept"] == "application/json"
    assert first["X-Requested-With"] == "XMLHttpRequest"
    assert "Authorization" not in second


@pytest.mark.parametrize("name", ["forbidden", "a page", "a redirect"])
def test_the_token_is_sent_only_where_it_is_asked_for(name: str) -> None:
    """A document that is refused without a token is asked for with it, as are those after it."""
    documents = {
        service: Secured(REFUSED[name][0], document)
        for service, document in own_documents().items()
    }
    report, asked = verify(documents)
    assert {check.state for check in report} == {"confirmed"}
    with_token = ["Authorization" in call.headers for call in asked if "/swagger" in call.path]
    assert with_token == [False, True, True, True, True]


# Kept in a folder


def save(documents: Any, folder: Path, listed: Any = None) -> None:
    """Save every document of a platform."""
    with serving(documents, listed=listed) as platform, platform.client() as client:
        PlatformDocuments(client.session, folder).read_all()


def test_without_a_list_the_documents_of_the_contract_are_kept(tmp_path: Path) -> None:
    """A platform that refuses the list still gives its documents."""
    save(own_documents(), tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {
        "course", "learn", "learningplan", "manage",
    }  # fmt: skip


def test_two_documents_of_one_service_are_both_kept(tmp_path: Path) -> None:
    """A name that is in use is given a number."""
    entries = [{"app": "learn", "url": f"/{part}/v1/swagger"} for part in ("learn", "course")]
    save(own_documents(), tmp_path, Served(json.dumps({"data": entries}).encode()))
    assert {"learn.json", "learn-1.json"} <= {path.name for path in tmp_path.iterdir()}


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """The error names what is in the way."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="file: cannot be written: "):
        save(own_documents(), tmp_path / "file")


KEPT: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"swagger: 2.0", "learn.json: Expecting value"),
    "not a swagger": (b'{"a": 1}', "learn.json: not a JSON object"),
    "not text": (b"\xff\xfe\x00", "learn.json: 'utf-8' codec"),
}


@pytest.mark.parametrize(("content", "reason"), KEPT.values(), ids=KEPT.keys())
def test_a_file_that_is_no_document_makes_its_rows_unreadable(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    """What is wrong with a file is in the report; the other files are read."""
    (tmp_path / "learn.json").write_bytes(content)
    others = json.dumps(own_documents()["course"])
    (tmp_path / "course.json").write_text(others, encoding="utf-8-sig")
    report = check_contract(Contract.default(), FolderDocuments(tmp_path))
    assert report[ARCHIVE].state == "unreadable"
    assert report[ARCHIVE].faults[0].startswith(reason)
    assert report["course_enrollments"].state == "confirmed"
    assert report["list_users"].state == "unreadable"
    assert report["list_users"].faults == ("the folder has no document of manage",)


def test_a_document_may_have_any_file_name(tmp_path: Path) -> None:
    """Its paths say of which service it is."""
    document: Any = without_archive()["learn"]
    (tmp_path / "swagger (1).json").write_text(json.dumps(document), encoding="utf-8")
    report = check_contract(Contract.default(), FolderDocuments(tmp_path), [ARCHIVE])
    assert report[ARCHIVE].state == "not_listed"


def test_what_is_not_a_file_or_a_folder_is_said(tmp_path: Path) -> None:
    """A pipe, which has no end, is not read; a folder is missing, is a file, or is empty."""
    folder, file = tmp_path / "documents", tmp_path / "file"
    folder.mkdir()
    file.touch()
    for path, reason in (
        (tmp_path / "none", "none: the folder does not exist"),
        (file, "file: is not a folder"),
        (folder, r"documents: holds no swagger documents \(\*\.json\)"),
    ):
        with pytest.raises(InvalidInputError, match=reason):
            FolderDocuments(path)
    os.mkfifo(folder / "learn.json")
    (folder / "course.json").mkdir()
    report = check_contract(Contract.default(), FolderDocuments(folder))
    assert report[ARCHIVE].faults == ("learn.json: it is not an ordinary file",)
    assert report["course_enrollments"].faults == ("course.json: it is not an ordinary file",)
