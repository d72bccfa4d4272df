"""Certificates: issued when enrollments are loaded, served to whoever is signed in."""

import secrets
import sqlite3

from lms_archive.sandbox.refusal import Refusal


def issue(db: sqlite3.Connection, host: str) -> str:
    """Return the link to a new certificate; `host` is the platform's own address."""
    name = f"{secrets.token_hex(12)}.pdf"
    db.execute("INSERT INTO certificates VALUES (?)", [name])
    return f"{host}/certificates/{name}"


def read(db: sqlite3.Connection, name: str) -> bytes:
    """Return the certificate of that name, a PDF, or refuse with 404."""
    if not db.execute("SELECT 1 FROM certificates WHERE name = ?", [name]).fetchone():
        raise Refusal(404, f"Certificate {name} not found.")
    return _pdf(f"Certificate {name.removesuffix('.pdf')}")


def _pdf(text: str) -> bytes:
    """Return a PDF of one page that says `text` (ASCII, no brackets)."""
    drawn = f"BT /F1 18 Tf 40 100 Td ({text}) Tj ET".encode("ascii")
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 420 200] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>"
    )
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    pdf = b"%PDF-1.4\n"
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    for number, body in enumerate(bodies, 1):
        table += b"%010d 00000 n \n" % len(pdf)
        pdf += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(bodies) + 1)
    return pdf + table + trailer + b"startxref\n%d\n%%%%EOF\n" % len(pdf)
