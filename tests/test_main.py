"""`python -m lms_archive verify URL`: what it prints, and how it ends."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from python_process import run_python
from swagger_documents import (
    ARCHIVE,
    ARCHIVE_PLAN,
    NOISE,
    Served,
    archive_body,
    archive_call,
    forms,
    json_body,
    moved,
    own_documents,
    serving,
)

from lms_archive import Client, Contract
from lms_archive.__main__ import main
from lms_archive.sandbox import PlatformVariant, Sandbox

Out = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token in the environment, and nothing else of ours."""
    for name in list(os.environ):
        if name.startswith("LMS_ARCHIVE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LMS_ARCHIVE_TOKEN", "a-secret-token")


def fails(out: Out, *arguments: str) -> str:
    """The one line with which the command ends, having printed nothing else."""
    assert main(arguments) == 2
    printed = out.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "a-secret-token" not in printed.err
    return printed.err


def test_confirmed_writes_end_with_0(capsys: Out, tmp_path: Path) -> None:
    """Where every write is confirmed the command ends with 0, and proposes nothing."""
    file = tmp_path / "contract.json"
    with serving(own_documents()) as platform:
        assert main(["verify", platform.url]) == 0
        assert {call.method for call in platform.asked} == {"GET"}
        printed = capsys.readouterr()
        assert main(["verify", platform.url, "--save", str(file)]) == 0
    assert printed.out.endswith("\nEvery write is confirmed.\n")
    assert "To paste" not in printed.out
    assert printed.err == ""
    saved = f"There is no suggestion: {file} has no override of the default contract.\n"
    assert saved in capsys.readouterr().out
    assert Contract.load(file) == Contract.default()
    with serving({**own_documents(), "manage": Served(b"", 404)}) as platform:
        assert main(["verify", platform.url]) == 0  # only reads are not confirmed
    assert "unreadable" in capsys.readouterr().out


def test_an_unconfirmed_select_all_form_ends_with_0(capsys: Out) -> None:
    """It is only used on request: the command ends with 0, and names what is not confirmed."""
    documents = own_documents()
    paths = (path for document in documents.values() for path in document["paths"].values())
    for path in paths:
        for parameter in path.get("put", {}).get("parameters", ()):
            parameter.get("schema", {}).get("properties", {}).pop("select_all", None)
    with serving(documents) as platform:
        assert main(["verify", platform.url]) == 0
    printed = capsys.readouterr().out
    assert "Every write is confirmed." not in printed
    assert printed.endswith(
        "\nEvery write is confirmed except archive_course_enrollments_select_all, "
        "archive_learning_plan_enrollments_select_all, which are only used on request.\n"
    )


@pytest.mark.parametrize("documents", [moved(), forms()])
def test_an_unconfirmed_write_ends_with_1_and_an_override(capsys: Out, documents: Any) -> None:
    """Where a write is not confirmed the command ends with 1, and prints what can be pasted."""
    with serving(documents) as platform:
        assert main(["verify", platform.url]) == 1
    printed = capsys.readouterr().out
    assert f"{ARCHIVE} " in printed
    _, _, pasted = printed.partition("compared it with the platform:\n\n")
    code, _, last = pasted.partition("\n\n")
    names: dict[str, Any] = {"Contract": Contract}
    exec(code, names)  # noqa: S102  what a user would paste
    assert names["contract"].operations[ARCHIVE].method == "POST"
    assert last.startswith("Not confirmed: archive_learning_plan_enrollments, archive_course_enr")


def test_a_contract_file_is_checked(
    capsys: Out, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of --contract, or else of LMS_ARCHIVE_CONTRACT, in place of the default."""
    file, default = tmp_path / "platform.json", tmp_path / "default.json"
    file.write_text('{"enrollment_mode": {"unenroll": "archive"}}', encoding="utf-8")
    default.write_text("{}", encoding="utf-8")
    documents = archive_call(row=json_body(**archive_body(("archive", "re_enroll"))))
    plans = documents["learningplan"]["paths"]
    row = next(item["put"] for path, item in plans.items() if "put" in item)
    modes = row["parameters"][0]["schema"]["properties"]["enrollment_mode"]
    assert modes == {"type": "string"}  # open: any value is taken
    with serving(documents) as platform:
        assert main(["verify", platform.url]) == 1
        assert (
            "enrollment_mode takes archive, re_enroll, not delete (unenroll)"
            in capsys.readouterr().out
        )
        assert main(["verify", platform.url, "--contract", str(file)]) == 0
        monkeypatch.setenv("LMS_ARCHIVE_CONTRACT", str(file))
        assert main(["verify", platform.url]) == 0
        assert main(["verify", platform.url, "--contract", str(default)]) == 1
    capsys.readouterr()
    missing = str(tmp_path / "none.json")
    assert missing in fails(capsys, "verify", "https://acme.example.com", "--contract", missing)
    monkeypatch.setenv("LMS_ARCHIVE_CONTRACT", missing)
    assert "none.json: cannot be read" in fails(capsys, "verify", "https://acme.example.com")


@pytest.mark.parametrize("documents", [moved(), forms()])
def test_save_makes_a_contract_that_is_confirmed(
    capsys: Out, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, documents: Any
) -> None:
    """What --save writes is loaded from the environment, and confirms every write but deletion."""
    file = tmp_path / "contract.json"
    with serving(documents) as platform:
        assert main(["verify", platform.url, "--save", str(file)]) == 1
        assert f"set LMS_ARCHIVE_CONTRACT={file}" in capsys.readouterr().out
        monkeypatch.setenv("LMS_ARCHIVE_CONTRACT", str(file))
        with Client.from_env(base_url=platform.url) as client:
            report = client.verify_contract([ARCHIVE, ARCHIVE_PLAN])
        assert [check.state for check in report] == ["confirmed", "confirmed"]
        assert "already exists; name a new file" in fails(
            capsys, "verify", platform.url, "--save", str(file)
        )


def test_documents_are_kept_as_they_came_and_checked_without_a_platform(
    capsys: Out, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--save-documents keeps each that is listed; --documents needs no platform and no login.

    The report on the folder is that on the platform.
    """
    documents = {**moved(), "mail": NOISE["mail"], "broken": Served(b"", 403)}
    listed = {name: f"{{url}}/{name}/v1/swagger" for name in documents}
    listed["café/x"] = listed.pop("mail")
    folder = tmp_path / "new" / "documents"
    with serving(documents, listed=listed) as platform:
        save = ("verify", platform.url, "--save-documents", str(folder))
        assert main(save) == 1
        online = capsys.readouterr().out
        assert "already holds documents" in fails(capsys, *save)
    kept = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.iterdir()}
    assert kept == {**moved(), "café-x": NOISE["mail"]}
    monkeypatch.delenv("LMS_ARCHIVE_TOKEN")
    assert main(["verify", "--documents", str(folder)]) == 1
    offline = capsys.readouterr().out
    place = f"The documents are in {folder}; they hold no personal data.\n\n"
    addresses = re.compile(r"Documents, .*:\n( {4}.*\n)+")
    assert place in online
    assert "To paste" in offline
    assert f"Documents, read from {folder}:" in offline
    assert addresses.sub("", offline) == addresses.sub("", online.replace(place, ""))
    none = str(tmp_path / "none")
    assert "none: the folder does not exist" in fails(capsys, "verify", "--documents", none)


def test_without_documents_no_folder_is_made(capsys: Out, tmp_path: Path) -> None:
    """Where the platform refuses all of them, no folder of documents is promised."""
    folder = tmp_path / "documents"
    with (
        Sandbox(variant=PlatformVariant(swagger="forbidden")) as sandbox,
        pytest.MonkeyPatch.context() as m,
    ):
        m.delenv("LMS_ARCHIVE_TOKEN")
        for name, value in sandbox.env().items():
            m.setenv(name, value)
        assert main(["verify", sandbox.url, "--save-documents", str(folder)]) == 1
    printed = capsys.readouterr().out
    assert "No document could be saved." in printed
    assert str(folder) not in printed
    assert not folder.exists()


def test_the_module_runs_as_a_command() -> None:
    """The module runs as a command, signs in with the five variables, and asks the URL given."""
    with Sandbox() as sandbox:
        env = {**sandbox.env(), "LMS_ARCHIVE_URL": "https://acme.example.com"}
        done = run_python("-m", "lms_archive", "verify", sandbox.url, env=env)
        asked = {call.operation for call in sandbox.calls}
    assert asked == {"token", "microservices", "swagger"}
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 of 6 writes" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("verify",),
        ("archive", "https://a.example"),
        ("verify", "--documents", "folder", "--save-documents", "other"),
    ],
)
def test_wrong_arguments_end_with_2_and_one_line(capsys: Out, arguments: tuple[str, ...]) -> None:
    """Wrong arguments end with 2 and one line."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("python -m lms_archive")
    assert printed.err.count("\n") == 1


def test_a_refused_token_ends_with_2(capsys: Out) -> None:
    """A token that no document accepts ends with 2; a single refused document does not."""
    refused = Served(b'{"message": "who are you"}', 401)
    with serving(dict.fromkeys(own_documents(), refused)) as platform:
        assert "the token is not accepted" in fails(capsys, "verify", platform.url)
    with serving({**own_documents(), "learn": refused}) as platform:
        assert main(["verify", platform.url]) == 1
    assert "unreadable" in capsys.readouterr().out


def test_an_address_or_a_variable_that_is_missing_ends_with_2(
    capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing variables are named; the URL is none of them."""
    assert "base URL" in fails(capsys, "verify", "acme")
    assert "plain http" in fails(capsys, "verify", "http://acme.example.com")
    monkeypatch.delenv("LMS_ARCHIVE_TOKEN")
    message = fails(capsys, "verify", "https://acme.example.com")
    assert "LMS_ARCHIVE_CLIENT_ID" in message
    assert "LMS_ARCHIVE_URL" not in message
