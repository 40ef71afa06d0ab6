"""The base of every settings model: frozen, strict, self-describing, and with an identity of its own."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

RUNTIME = "runtime"

_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
    "minItems": "items: at least",
    "pattern": "pattern:",
}


def describe_bounds(schema: dict[str, Any]) -> None:
    """Append every field's bounds to its description in a JSON schema: Prefect's form shows descriptions and no bounds."""
    for field in schema.get("properties", {}).values():
        places = [field, *field.get("anyOf", [])]
        bounds = [f"{words} {place[name]}" for place in places for name, words in _BOUNDS.items() if name in place]
        if bounds and "description" in field:
            field["description"] += f" ({', '.join(bounds)})"


class Section(BaseModel):
    """One part of a recipe.

    Unknown fields are refused, values are bounded, and the string under a field is its description in the Prefect form.
    A field called ``runtime`` says how the work is done (batch sizes, devices, retries) and is no part of its identity.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True, json_schema_extra=describe_bounds
    )

    def identity(self) -> dict[str, Any]:
        """Return what makes two sections ask for the same result.

        Returns:
            The settings as JSON values, without any ``runtime`` section, nested sections included.
        """
        identity: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name == RUNTIME:
                continue
            if isinstance(value, set | frozenset):
                raise TypeError(f"{type(self).__name__}.{name} is a set, whose order is no part of it; use a tuple")
            if isinstance(value, Section):
                identity[name] = value.identity()
            else:
                identity[name] = self.model_dump(mode="json", include={name})[name]
        return identity
