"""What the package exports: the names of everyday use at the top, the rest in subpackages."""

import importlib
from types import ModuleType

PACKAGES: dict[str, ModuleType] = {
    name: importlib.import_module(name)
    for name in (
        "lms_archive",
        "lms_archive.archive",
        "lms_archive.errors",
        "lms_archive.records",
        "lms_archive.resources",
        "lms_archive.wire",
    )
}
PUBLIC: dict[str, object] = {
    name: getattr(module, name)
    for module in PACKAGES.values()
    for name in module.__all__
    if name != "__version__"
}
