"""Bad input as tables: what happens to each, and never at the cost of the good rows."""

import codecs
import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest
from archive_tools import MakeCsv, from_csv, planned, skipped

from lms_archive import Client, InvalidInputError
from lms_archive.errors import InputFileError

HEADER = "username,user_id,course_code,course_id,note\n"
LONG = "x" * 200_000

# A row under HEADER, the code of its outcome, and a piece of the reason.
ROWS: dict[str, tuple[str, str, str]] = {
    "no user": (",,SAFE,,x", "bad_row", "no user: fill in username or user_id"),
    "no course": (
        "alice,,,,x",
        "bad_row", "no course or learning plan: fill in course_code or course_id"),
    "user of spaces": ('"  ",,SAFE,,x', "bad_row", "no user"),
    "short": ("alice,,SAFE", "bad_row", "expected 5 cells, found 3; is a delimiter or a quote"),
    "long": ("alice,,SAFE,,x,y", "bad_row", "expected 5 cells, found 6; is a quote missing?"),
    "comma not quoted": ("Doe, Al,,SAFE,,x", "bad_row", "found 6; is a quote missing?"),
    "user_id 007": (",007,SAFE,,x", "bad_row", "user_id '007' is not an id"),
    "user_id with point": (",101.0,SAFE,,x", "bad_row", "user_id '101.0' is not an id"),
    "user_id zero": (",0,SAFE,,x", "bad_row", "user_id '0' is not an id"),
    "user_id is a name": (",alice,SAFE,,x", "bad_row", "user_id 'alice' is not an id"),
    "user_id fullwidth": (",\uff11\uff10\uff11,SAFE,,x", "bad_row", "is not an id: give a whole"),
    "user_id too large": (f",1{'0' * 18},SAFE,,x", "bad_row", "is not an id"),
    "course_id 071": ("alice,,,071,x", "bad_row", "course_id '071' is not an id"),
    "bad id beside a name": ("alice,?,SAFE,,x", "bad_row", "user_id '?' is not an id"),
    "unknown user": ("nobody,,SAFE,,x", "not_enrolled", "not checked: spelling"),
    "unknown user_id": (",999,SAFE,,x", "not_enrolled", "no completed enrollment found"),
    "unknown e-mail": ("al@example.com,,SAFE,,x", "not_enrolled", "really the e-mail address?"),
    "upper case": ("ALICE,,SAFE,,x", "not_enrolled", "'alice' differs only in case"),
    "id as username": ("101,,SAFE,,x", "not_enrolled", "not checked: spelling"),
    "other alphabet": ("аlice,,SAFE,,x", "not_enrolled", "not checked: spelling"),  # noqa: RUF001
    "invisible letter": (
        "alice\u200b,,SAFE,,x",
        "not_enrolled", "'alice' differs only in case, spaces, invisible characters"),
    "invisible letter in a code": (
        "alice,,SA\u200bFE,,x",
        "unknown_course", "'SAFE' differs only in case, spaces, invisible characters"),
    "unknown course": ("alice,,NOPE,,x", "unknown_course", "no course has the code 'NOPE'"),
    "course in lower case": ("alice,,safe,,x", "unknown_course", "'SAFE' differs only in case"),
    "unknown course_id": ("alice,,,9999,x", "unknown_course", "there is no course 9999 on the"),
    "unknown code, known id": ("alice,,NOPE,71,x", "unknown_course", "no course has the code"),
    "two courses, one code": (
        "alice,,TWIN,,x",
        "ambiguous_course", "2 courses have the code 'TWIN' (ids 73, 74): use the column"),
    "course id and code disagree": (
        "alice,,SAFE,72,x",
        "disagree", "course 72 does not have the code 'SAFE': correct one of the two"),
    "user id and name disagree": (
        "bob,101,SAFE,,x",
        "disagree", "user 101 is 'alice', not 'bob': correct one of the two"),
    "unknown id, known name": ("alice,999,SAFE,,x", "disagree", "user 999 is not 'alice'"),
    "id and other case": ("Alice,101,SAFE,,x", "disagree", "user 101 is 'alice', not 'Alice'"),
    "duplicate": ("bob,,FIRE,,x", "duplicate", "same enrollment as line 2: archived only"),
    "duplicate by user_id": (",102,FIRE,,x", "duplicate", "as line 2"),
    "duplicate with spaces": (" bob ,, FIRE ,,x", "duplicate", "as line 2"),
    "not enrolled": ("dave,,SAFE,,x", "not_enrolled", "no completed enrollment found"),
    "not enrolled here": ("carol,,FIRE,,x", "not_enrolled", "no completed enrollment found"),
    "a code that looks like an id": (
        "alice,,71,,x",
        "not_enrolled", "no completed enrollment found"),
    "in progress": ("paul,,SAFE,,x", "not_enrolled", "other status"),
    "waiting": ("wanda,,SAFE,,x", "not_enrolled", "other status"),
    "unknown status": ("zelda,,SAFE,,x", "not_enrolled", "other status"),
    "tutor": (
        "tina,,SAFE,,x",
        "staff", "is a tutor, not a learner; include_staff=True includes staff"),
    "instructor": ("ivan,,SAFE,,x", "staff", "is an instructor, not a learner"),
    "long username": (f"{LONG},,SAFE,,x", "bad_row", "username has 200,000 characters"),
    "long course_code": (f"alice,,{LONG},,x", "bad_row", "course_code has 200,000 characters"),
    "long note": (f"noone,,SAFE,,{LONG}", "not_enrolled", "not checked: spelling"),
    "NUL in username": ("al\0ice,,SAFE,,x", "bad_row", "username contains a NUL byte"),
    "NUL in course_code": ("alice,,SA\0FE,,x", "bad_row", "course_code contains a NUL byte"),
    "NUL in user_id": (",10\x001,SAFE,,x", "bad_row", "is not an id"),
    "SQL as user": ("' OR '1'='1,,SAFE,,x", "not_enrolled", "not checked: spelling"),
    "HTML as course": ('alice,,<a href="x">SAFE</a>,,x', "unknown_course", '<a href="x">'),
    "escapes for the terminal": ("a,,\x1b[2J,,x", "unknown_course", r"'\x1b[2J'"),
    "line break in a name": ('"ali\nce",,SAFE,,x', "not_enrolled", "not checked: spelling"),
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS.values(), ids=ROWS.keys())
def test_a_bad_row_is_skipped_with_its_reason_and_its_line(
    case: tuple[str, str, str], make_csv: MakeCsv, reader: Client
) -> None:
    """A bad row is skipped with code, reason and line; the rows before and after are planned."""
    bad, code, reason = case
    path = make_csv(f"{HEADER}bob,,FIRE,,before\n{bad}\nalice,,FIRE,,after\n")
    plan = from_csv(path).plan(reader)
    after = 4 + bad.count("\n")
    assert planned(plan) == [(2, 72, 102), (after, 72, 101)]
    (outcome,) = plan.skipped
    assert (outcome.kind, outcome.code, outcome.line) == ("skipped", code, 3)
    assert reason in outcome.reason
    assert len(outcome.reason) < 1000


def test_all_bad_rows_of_one_file(make_csv: MakeCsv, reader: Client) -> None:
    """All of them in one file come out as they do alone, each with its own line."""
    text, expected = f"{HEADER}bob,,FIRE,,before\n", {}
    for row, code, _ in ROWS.values():
        expected[text.count("\n") + 1] = code
        text += f"{row}\n"
    end = text.count("\n") + 1
    plan = from_csv(make_csv(f"{text}alice,,FIRE,,after\n")).plan(reader)
    found = {outcome.line: outcome.code for outcome in plan.skipped}
    assert planned(plan) == [(2, 72, 102), (end, 72, 101)]
    assert found == expected


TWO = "username,course_code\nbob,FIRE\nnobody,FIRE\nalice,FIRE\n"
UMLAUT = "username,course_code\nZoë,SAFE\nnobody,FIRE\nalice,FIRE\n"

# A file, the arguments of from_csv, the lines planned, and the lines skipped with their codes.
FILES: dict[str, tuple[bytes, dict[str, Any], list[int], dict[int, str]]] = {
    "BOM": (codecs.BOM_UTF8 + TWO.encode(), {}, [2, 4], {3: "not_enrolled"}),
    "UTF-16": (UMLAUT.encode("utf-16"), {}, [2, 4], {3: "not_enrolled"}),
    "UTF-32": (UMLAUT.encode("utf-32"), {}, [2, 4], {3: "not_enrolled"}),
    "UTF-16 without BOM, named": (
        UMLAUT.encode("utf-16-le"),
        {"encoding": "utf-16-le"}, [2, 4], {3: "not_enrolled"}),
    "cp1252, named": (UMLAUT.encode("cp1252"), {"encoding": "cp1252"}, [2, 4], {3: "not_enrolled"}),
    "semicolon": (TWO.replace(",", ";").encode(), {}, [2, 4], {3: "not_enrolled"}),
    "tab": (TWO.replace(",", "\t").encode(), {}, [2, 4], {3: "not_enrolled"}),
    "CRLF": (TWO.replace("\n", "\r\n").encode(), {}, [2, 4], {3: "not_enrolled"}),
    "no last newline": (TWO.rstrip().encode(), {}, [2, 4], {3: "not_enrolled"}),
    "blank lines": (
        b"username,course_code\n\nbob,FIRE\n\n\nnobody,FIRE\n,\n  ,\t\nalice,FIRE\n\n",
        {}, [3, 9], {6: "not_enrolled"}),
    "spaces around": (
        b"  username , course_code \n bob , FIRE \n nobody,FIRE\n\talice,FIRE\t\n",
        {}, [2, 4], {3: "not_enrolled"}),
    "quoted line breaks": (
        b'username,note,course_code\nbob,"1\n2\r\n3",FIRE\nnobody,"\n\n",FIRE\nalice,"\n",FIRE\n',
        {}, [2, 8], {5: "not_enrolled"}),
    "line break in the header": (
        b'username,"two\nlines",course_code\nbob,,FIRE\nnobody,,FIRE\n',
        {}, [3], {4: "not_enrolled"}),
    "header in other words": (
        b"Course-Code;USER NAME;x\nFIRE;bob;\nFIRE;nobody;\n",
        {}, [2], {3: "not_enrolled"}),
    "columns without a name": (
        b"username,,course_code,,\nbob,,FIRE,,\nnobody,,FIRE,,\n",
        {}, [2], {3: "not_enrolled"}),
    "007 as username": (
        b"username,course_code\n007,SAFE\n12,SAFE\n7,SAFE\n",
        {}, [2, 3], {4: "not_enrolled"}),
    "names that differ in case": (
        b"username,course_code\nAnna,SAFE\nanna,SAFE\nANNA,SAFE\n",
        {}, [2, 3], {4: "not_enrolled"}),
    "e-mail as username": (
        b"username,course_code\neve@example.com,SAFE\nEve@example.com,SAFE\n",
        {}, [2], {3: "not_enrolled"}),
    "a quote inside a cell": (
        b'username,course_code,note\nbob,FIRE,19" screen\nnobody,FIRE,"""x"""\n',
        {}, [2], {3: "not_enrolled"}),
    "a line that names the separator": (
        b"sep=;\r\nusername;course_code\r\nbob;FIRE\r\nnobody;FIRE\r\n",
        {}, [3], {4: "not_enrolled"}),
    "titles above the header": (
        b"Report\n\nMade on:,2026-01-31\n\nusername,x,course_code\nbob,,FIRE\nno,,FIRE",
        {}, [6], {7: "not_enrolled"}),
    "a blank first line": (b"\n" + TWO.encode(), {}, [3, 5], {4: "not_enrolled"}),
    "a delimiter at the end of each line": (
        b"username;course_code;\nbob;FIRE;\nnobody;FIRE;\n;;\n",
        {}, [2], {3: "not_enrolled"}),
    "a delimiter at the end of each line but the header": (
        b"username;course_code\nbob;FIRE;\nnobody;FIRE;;\n;;;\n",
        {}, [2], {3: "not_enrolled"}),
    "a delimiter at the end of the header only": (
        b"username;course_code;\nbob;FIRE\nnobody;FIRE\n;\n",
        {}, [2], {3: "not_enrolled"}),
    "the platform's own report": (
        b"Username,User unique ID,Course code,Course Internal ID\nbob,99,FIRE,72\nno,1,FIRE,\n",
        {}, [2], {3: "not_enrolled"}),
    "translated": (
        b"Benutzername;Kurscode\nbob;FIRE\nnobody;FIRE\n",
        {"columns": {"username": "Benutzername", "course_code": "kurscode"}},
        [2], {3: "not_enrolled"}),
    "translated below a title": (
        b"Bericht\nBenutzername;Kurs;username\nbob;72;x\n",
        {"columns": {"username": "Benutzername", "course_id": "Kurs"}}, [3], {}),
    "header only": (b"username,course_code\n", {}, [], {}),
    "both ids and names agree": (
        b"username,user_id,course_code,course_id\nbob,102,FIRE,72\nalice,101,TWIN,73\n",
        {}, [2, 3], {}),
    "a wrong row does not hide the right one": (
        b"username,user_id,course_id\nbob,101,72\nalice,101,72\nalice,101,72\n",
        {}, [3], {2: "disagree", 4: "duplicate"}),
    "both twins by id": (
        b"username,course_id\nalice,73\nalice,74\nalice,73\n",
        {}, [2, 3], {4: "duplicate"}),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES.values(), ids=FILES.keys())
def test_an_unusual_file_is_read_with_the_lines_of_an_editor(
    case: tuple[bytes, dict[str, Any], list[int], dict[int, str]], make_csv: MakeCsv, reader: Client
) -> None:
    """A file that is written unusually is read, its lines counted as an editor shows them."""
    content, options, lines, codes = case
    plan = from_csv(make_csv(content), **options).plan(reader)
    assert [line for line, _, _ in planned(plan)] == lines
    assert {line: code for line, (code, _) in skipped(plan.skipped).items()} == codes


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0"
HEAD = b"username,course_code\nbob,FIRE\n"

# A file that cannot be read, the arguments of from_csv, a piece of the message, and the line.
UNREADABLE: dict[str, tuple[bytes, dict[str, Any], str, int | None]] = {
    "empty": (b"", {}, "the file is empty", 1),
    "blank lines only": (b"\n\n \n", {}, "the file is empty", 1),
    "no header": (b"bob,FIRE\n", {}, "columns found: 'bob', 'FIRE'; columns needed: username", 1),
    "no course column": (b"username,title\n", {}, "columns found: 'username', 'title'", 1),
    "username twice": (b"username,course_id,User Name\n", {}, "have the same meaning", 1),
    "extra column twice": (b"username,x,course_id,x\n", {}, "remove or rename one", 1),
    "cp1252": (UMLAUT.encode("cp1252"), {}, "from_csv(..., encoding='cp1252')", 2),
    "cp1252 far down": (
        HEAD + b"nobody,FIRE\n" * 5000 + b"Zo\xeb,SAFE\n",
        {}, "not text in utf-8 (byte 60,033)", 5003),
    "half a letter at the end": (HEAD + b"Zo\xc3", {}, "not text in utf-8", 3),
    "not the encoding named": (UMLAUT.encode(), {"encoding": "ascii"}, "not text in ascii", 2),
    "no UTF-16 at all": (HEAD, {"encoding": "utf-16"}, "not text in utf-16", None),
    "wrong encoding name": (HEAD, {"encoding": "utf8-excel"}, "'utf8-excel' is unknown", None),
    "an encoding not of text": (HEAD, {"encoding": "base64"}, "'base64' is unknown", None),
    "UTF-16 without BOM": (TWO.encode("utf-16-le"), {}, "encoding='utf-16-le'", 1),
    "UTF-16-BE without BOM": (TWO.encode("utf-16-be"), {}, "encoding='utf-16-be'", 1),
    "UTF-32-LE without BOM": (TWO.encode("utf-32-le"), {}, "encoding='utf-32-le'", 1),
    "UTF-32-BE without BOM": (TWO.encode("utf-32-be"), {}, "encoding='utf-32-be'", 1),
    "a NUL in the header": (b"user\0name\n", {}, "it contains NUL bytes", 1),
    "Parquet": (b"PAR1\x15\x04\x15\0", {}, "give from_rows(pandas.read_parquet(path)", None),
    "an empty zip": (b"PK\x05\x06" + b"\0" * 18, {}, "is an empty zip file, not CSV", None),
    "the delimiter |": (
        HEAD.replace(b",", b"|"),
        {}, "the delimiter is '|': put the line sep=| above the header", 1),
    "a PNG": (PNG, {}, "not text in utf-8 (byte 1)", 1),
    "a workbook (xlsx)": (
        b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0\xb5",
        {}, "pandas.read_excel", None),
    "a workbook (xls)": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", {}, "save it as 'CSV UTF-8'", None),
    "compressed": (b"\x1f\x8b\x08\0", {}, "give gzip.open(path)", None),
    "the header below rows": (
        b"ada,SAFE\n" + HEAD,
        {}, "line 2 is the header, but this line above it is not a title", 1),
    "another separator than it says": (
        b"sep=;\n" + HEAD,
        {}, "columns found: 'username,course_code'; columns needed", 2),
    "unclosed quote": (HEAD + b'alice,FIRE\n"carol,SAFE\nx,y\n', {}, "quote that is not closed", 4),
    "unclosed quote of 300,000 characters": (
        HEAD + b'"carol,SAFE\n' + b"bob,FIRE\n" * 33_333,
        {}, "quote that is not closed", 3),
    "text after a quote": (HEAD + b'"bob"by,FIRE\n', {}, "the CSV cannot be read from here on", 3),
}  # fmt: skip


@pytest.mark.parametrize("case", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_file_is_refused_with_what_to_do(
    case: tuple[bytes, dict[str, Any], str, int | None], make_csv: MakeCsv
) -> None:
    """A file that cannot be read is refused at once, with its name, the line and what to do."""
    content, options, words, line = case
    path = make_csv(content)
    with pytest.raises(InvalidInputError) as caught:
        from_csv(path, **options)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}, line {line}" if line else f"{path}: ")
    assert (caught.value.source, caught.value.line) == (str(path), line)
    assert len(str(caught.value)) < 1000


def test_missing_file_is_an_os_error_too(tmp_path: Path) -> None:
    """A missing file is caught by both who expects our errors and who expects the system's."""
    with pytest.raises(InputFileError, match=r"none\.csv: cannot be read: No such file") as caught:
        from_csv(tmp_path / "none.csv")
    assert isinstance(caught.value, InvalidInputError)
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.ENOENT
    assert caught.value.filename == caught.value.source == str(tmp_path / "none.csv")


class Unreadable(io.RawIOBase):
    """An open file that fails when it is read."""

    def readable(self) -> bool:
        """It says so."""
        return True

    def readall(self) -> bytes:
        """It fails all the same."""
        raise OSError(errno.EIO, "Input/output error")


class Strange:
    """Something with a method `read` that returns no text."""

    def read(self) -> int:
        """Return a number."""
        return 5


def closed() -> io.StringIO:
    """Return a file that was closed."""
    file = io.StringIO("username,course_code\n")
    file.close()
    return file


def pipe(folder: Path) -> Path:
    """Return a named pipe; opening it would wait without end."""
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


# What is given as a file, the arguments of from_csv, and a piece of the message.
NOT_FILES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a folder": (lambda folder: folder, {}, "cannot be read: Is a directory"),
    "a pipe": (pipe, {}, "is a pipe or a device, not an ordinary file: save it to a file, or give"),
    "nothing": (None, {}, "takes the path of a CSV file or an open file, not None"),
    "a number": (5, {}, "takes the path of a CSV file or an open file, not 5"),
    "bytes": (b"in.csv", {}, "takes the path of a CSV file or an open file, not b'in.csv'"),
    "a class": (lambda _: io.StringIO, {}, "or an open file, not <class '_io.StringIO'>"),
    "a list": (["in.csv"], {}, "takes the path of a CSV file or an open file"),
    "a NUL": ("a\0b", {}, "is not a path: "),
    "half a character": ("a\ud800b", {}, "is not a path: "),
    "an empty name": ("", {}, "cannot be read: "),
    "a name too long": ("x" * 5000, {}, "cannot be read: File name too long"),
    "the text itself": (
        "username,course_code\nada,SAFE\n", {}, "for CSV text give io.StringIO(text)"),
    "a closed file": (closed(), {}, "cannot be read: I/O operation on closed file"),
    "a file that fails": (Unreadable(), {}, "cannot be read: "),
    "a file of numbers": (Strange(), {}, "read() returned int"),
    "an empty open file": (io.StringIO(""), {}, "the file is empty"),
    "an open PNG": (io.BytesIO(PNG), {}, "not text in utf-8 (byte 1)"),
    "text with an encoding": (
        io.StringIO(TWO), {"encoding": "utf-8"}, "this file is open as text: leave it out"),
    "a wrong encoding": (io.TextIOWrapper(io.BytesIO(b"\xff"), "utf-8"), {}, "or is not text"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_FILES.values(), ids=NOT_FILES.keys())
def test_what_is_not_a_file_is_refused_in_words(
    case: tuple[Any, dict[str, Any], str], tmp_path: Path
) -> None:
    """No other error comes out, whatever is given as a file."""
    source, options, words = case
    with pytest.raises(InvalidInputError) as caught:
        from_csv(source(tmp_path) if callable(source) else source, **options)
    assert words in str(caught.value)
