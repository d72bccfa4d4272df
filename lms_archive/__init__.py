"""Archive LMS enrollments in bulk: plan first, never archive twice, account for every row."""

from lms_archive._version import __version__

__all__ = ["__version__"]
