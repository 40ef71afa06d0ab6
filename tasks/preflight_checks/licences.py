"""The table of licences and terms of service, ``licences.yaml``: its schema and how it is loaded.

An entry is one licence or agreement, with the models that it covers. To add a model, add a pattern to its licence; to add a
licence, add an entry. The table is a reminder of what to read, not legal advice, and no substitute for the texts that it links.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

OutputsMayTrain = Literal["yes", "conditional", "no", "unknown"]
_TABLE = Path(__file__).with_name("licences.yaml")

ModelPattern = Annotated[str, Field(pattern=r"^([a-z0-9.*-]|\[0-9\])+\*$")]
"""A glob over names as ``model_names.py`` spells them."""

HostPattern = Annotated[str, Field(pattern=r"^[a-z0-9.*-]+$")]
"""A glob over the host of an endpoint's URL."""


class Licence(BaseModel):
    """One licence or agreement."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9.-]+$")
    """What records call it."""
    name: str
    """What people call it."""
    url: str = Field(pattern=r"^https://")
    """Where the text is."""
    models: tuple[ModelPattern, ...] = ()
    """Names of models under it."""
    hosts: tuple[HostPattern, ...] = ()
    """Endpoints under it, whatever model they are asked for."""
    shared_hosts: tuple[HostPattern, ...] = ()
    """Endpoints that serve models of several owners: a known model's own terms decide, and these conditions come on top."""
    hub_licences: tuple[str, ...] = ()
    """`license` or `license_name` in the front matter of a model card on the hub."""
    outputs_may_train: OutputsMayTrain
    """Whether a model's outputs may train another model."""
    forbids: str | None = None
    """What it forbids, as a clause: "using the outputs to ..."."""
    except_students_of: tuple[str, ...] = ()
    """Licences of students that the ban does not cover."""
    conditions: tuple[str, ...] = ()
    """What a release of a student must keep because such a model taught it."""
    student_conditions: tuple[str, ...] = ()
    """What a release of a student must keep because its weights come from such a model."""

    @model_validator(mode="after")
    def _ban_is_explained(self) -> Self:
        if (self.outputs_may_train == "no") != (self.forbids is not None):
            raise ValueError(f"{self.id}: give `forbids` when outputs may not train a student, and only then")
        if self.outputs_may_train == "conditional" and not self.conditions:
            raise ValueError(f"{self.id}: outputs may train on conditions, but `conditions` is empty")
        return self


class LicenceTable(BaseModel):
    """All licences, checked for anything that would make a look-up ambiguous."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    licences: tuple[Licence, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        ids = {licence.id for licence in self.licences}
        for what, values in {
            "id": (licence.id for licence in self.licences),
            "model pattern": (pattern for licence in self.licences for pattern in licence.models),
            "host": (host for licence in self.licences for host in (*licence.hosts, *licence.shared_hosts)),
            "hub licence": (tag for licence in self.licences for tag in licence.hub_licences),
        }.items():
            if repeated := _repeated(values):
                raise ValueError(f"the {what} {repeated!r} stands twice in the table; once is enough to find it")
        if strangers := {name for licence in self.licences for name in licence.except_students_of} - ids:
            raise ValueError(f"except_students_of names {', '.join(sorted(strangers))}, which the table does not have")
        return self


@cache
def licence_table() -> LicenceTable:
    """Return the table, read and checked once in a process."""
    return LicenceTable.model_validate(yaml.safe_load(_TABLE.read_text(encoding="utf-8")))


def _repeated(values: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
