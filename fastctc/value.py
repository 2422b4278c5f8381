"""Value: what frozen dataclasses share."""

from dataclasses import fields
from typing import Any


class Value:
    """A frozen dataclass. A pickle holds its fields, and not what was computed from them and cached."""

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
