"""Issue certificates when enrollments are loaded, and serve them to every signed-in account."""

from __future__ import annotations

import secrets
import sqlite3

from lms_archive.sandbox.answers import Refusal


def issue(db: sqlite3.Connection, host: str) -> str:
    """Create a certificate and return its link; *host* is the platform's own address."""
    name = f"{secrets.token_hex(12)}.pdf"
    db.execute("INSERT INTO certificates VALUES (?)", [name])
    return f"{host}/certificates/{name}"


def read(db: sqlite3.Connection, name: str) -> bytes:
    """Return the certificate with this name, a PDF, or refuse with 404."""
    if not db.execute("SELECT 1 FROM certificates WHERE name = ?", [name]).fetchone():
        raise Refusal(404, f"Certificate {name} not found.")
    return _pdf(f"Certificate {name.removesuffix('.pdf')}")


def _pdf(text: str) -> bytes:
    """Return a PDF of one page with *text* (ASCII, no brackets)."""
    content = f"BT /F1 18 Tf 40 100 Td ({text}) Tj ET".encode("ascii")
    resources = b"/Resources << /Font << /F1 5 0 R >> >>"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 420 200] /Contents 4 0 R %s >>" % resources,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    pdf, size = b"%PDF-1.4\n", len(objects) + 1
    table = b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number, body in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(pdf)
        pdf += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(pdf))
    return pdf + table + trailer
