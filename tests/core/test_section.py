"""A section is strict, frozen and describes itself; how work is done is no part of what it is."""

import math

import pytest
from pydantic import Field, ValidationError

from tasks.core.fingerprint import fingerprint
from tasks.core.section import Section


class Machines(Section):
    """How the work is done."""

    gpus: int = 1


class Sampling(Section):
    """A part of a part."""

    temperature: float = Field(default=0.7, ge=0)
    """Zero takes the likeliest token."""

    runtime: Machines = Machines()


class Teaching(Section):
    """A section with a part of its own."""

    model: str = "teacher"
    sampling: Sampling = Sampling()
    runtime: Machines = Machines()


def test_runtime_is_no_part_of_the_identity_at_any_depth() -> None:
    large = Teaching(sampling=Sampling(runtime=Machines(gpus=4)), runtime=Machines(gpus=8))
    assert large.identity() == Teaching().identity() == {"model": "teacher", "sampling": {"temperature": 0.7}}


def test_settings_are_part_of_the_identity_at_any_depth() -> None:
    assert Teaching(sampling=Sampling(temperature=1)).identity() != Teaching().identity()


def test_a_value_given_as_its_default_has_the_identity_of_the_default() -> None:
    assert Teaching(model="teacher", sampling=Sampling(temperature=0.7)).identity() == Teaching().identity()


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="temprature"):
        Teaching.model_validate({"sampling": {"temprature": 1}})


def test_a_value_out_of_bounds_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        Sampling(temperature=-1)


def test_a_section_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Teaching().__setattr__("model", "another")


def test_not_a_number_has_no_identity() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        fingerprint(Sampling(temperature=math.inf).identity())


def test_the_string_under_a_field_describes_it_in_the_form() -> None:
    temperature = Sampling.model_json_schema()["properties"]["temperature"]

    assert temperature["description"] == "Zero takes the likeliest token. (at least 0)"
