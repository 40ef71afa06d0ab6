"""Which of Prefect's result records may be read: those that this project writes, which import nothing and run nothing.

A record of Prefect's names the serializer that reads it, down to the library and the function to import, and its JSON may name
classes. A flow's result has no record around it; whoever reads it takes some texts for records whose results are pickles.
"""

import json
import re
from typing import Any, Final, Literal
from uuid import UUID

import prefect
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from tasks.core.artifact import Artifact

_ARTIFACT = f"{Artifact.__module__}.{Artifact.__qualname__}"
_ERROR = re.compile(r"(?:builtins|tasks\.core\.errors)\.[A-Z][A-Za-z]*")
_ENCODER: Final = "prefect.serializers.prefect_json_object_encoder"
_DECODER: Final = "prefect.serializers.prefect_json_object_decoder"
_CLASS, _ERROR_CLASS = "__class__", "__exc_type__"


class RefusedRecordError(ValueError):
    """A record is none of ours; the message quotes nothing of it."""


class _PlainJson(BaseModel):
    """Prefect's JSON serializer as the name ``json`` gives it; what it would import is what it imports by default."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["json"] = "json"
    jsonlib: Literal["json"] = "json"
    object_encoder: Literal["prefect.serializers.prefect_json_object_encoder"] = _ENCODER
    object_decoder: Literal["prefect.serializers.prefect_json_object_decoder"] = _DECODER
    dumps_kwargs: dict[str, None] = Field(default={}, max_length=0)
    loads_kwargs: dict[str, None] = Field(default={}, max_length=0)


class _Metadata(BaseModel):
    serializer: _PlainJson = _PlainJson()
    prefect_version: str = prefect.__version__
    expiration: AwareDatetime | None = None
    storage_key: str | None = None
    storage_block_id: UUID | None = None


class _Result(BaseModel):
    """A record as Prefect writes it: the result is a text that its serializer reads."""

    metadata: _Metadata
    result: str


def checked_record(content: bytes, store: str, key: str, block: UUID | None) -> bytes:
    """Return a result record written anew from what was understood of it, so that no other parser reads something else.

    Args:
        content: A record, or a flow's result without one.
        store: URL of the store; handles to artefacts of others are refused.
        key: The record's key in the results.
        block: The block that the results are read through.

    Raises:
        RefusedRecordError: If it is none that this project writes.
    """
    try:
        record = _Result.model_validate_json(content)
    except ValidationError as error:
        record = _Result(metadata=_Metadata(), result=_bare_result(content, error))
    record.result = json.dumps(_safe_value(record.result, store))
    record.metadata.storage_key, record.metadata.storage_block_id = key, block
    return record.model_dump_json().encode()


def _bare_result(content: bytes, error: ValidationError) -> str:
    """Return a flow's result, which Prefect writes without a record around it.

    Prefect itself would take some of these texts for records of its first form, whose results are pickles.

    Raises:
        RefusedRecordError: If it is anything but a flow's handle or error.
    """
    if content.startswith((b'{"' + _CLASS.encode(), b'{"' + _ERROR_CLASS.encode())):
        return content.decode(errors="replace")
    places = {".".join(map(str, problem["loc"])) or "the whole" for problem in error.errors()}
    raise RefusedRecordError(f"it is no plain JSON record ({', '.join(sorted(places))})")


def _safe_value(text: str, store: str) -> Any:
    """Return a result's value if reading it imports nothing but our own handle or a known error.

    Raises:
        RefusedRecordError: If it is not JSON, or names another class.
    """
    try:
        value = json.loads(text)
        named = _names_a_class(value)
    except (ValueError, RecursionError):
        raise RefusedRecordError("its result is not JSON") from None
    if not named:
        return value
    keys = value.keys() if isinstance(value, dict) else set()
    if keys == {_CLASS, "data"} and value[_CLASS] == _ARTIFACT:
        return {_CLASS: _ARTIFACT, "data": _handle(value["data"], store)}
    if keys == {_ERROR_CLASS, "message"} and _is_known_error(value):
        return value
    raise RefusedRecordError("its result names a class")


def _names_a_class(value: Any) -> bool:
    if isinstance(value, dict):
        return bool({_CLASS, _ERROR_CLASS} & value.keys()) or any(map(_names_a_class, value.values()))
    return isinstance(value, list) and any(map(_names_a_class, value))


def _handle(data: Any, store: str) -> dict[str, Any]:
    try:
        artifact = Artifact.model_validate(data)
    except ValidationError:
        raise RefusedRecordError("its result is no handle of an artefact") from None
    if artifact.store != store:
        raise RefusedRecordError("its result is an artefact of another store")
    return artifact.model_dump(mode="json")


def _is_known_error(value: dict[str, Any]) -> bool:
    name, message = value[_ERROR_CLASS], value["message"]
    return isinstance(name, str) and isinstance(message, str) and _ERROR.fullmatch(name) is not None
