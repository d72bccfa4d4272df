"""The README's picture is that of the plan which the example makes today."""

import xml.etree.ElementTree as ET
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "docs" / "examples" / "picture.py"


def test_the_picture_is_up_to_date() -> None:
    """Drawn anew it is the same; a change that is meant: `python docs/examples/picture.py`."""
    spec = spec_from_file_location("picture", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    picture = module_from_spec(spec)
    spec.loader.exec_module(picture)
    drawn = picture.drawn(picture.example_plan())
    assert ET.fromstring(drawn).tag.endswith("svg")  # noqa: S314  our own
    assert drawn == picture.PICTURE.read_text(encoding="utf-8")
