"""Old name of `lms_archive.wire.session`, until every module imports that."""

from lms_archive.wire.session import Session as Wire

__all__ = ["Wire"]
