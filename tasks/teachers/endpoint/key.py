"""Where an endpoint's key comes from: an environment variable or a Prefect Secret block, read when the work starts."""

import os
import re
from typing import Any

from tasks.core.errors import SettingsError, StageFailedError
from tasks.core.secrets import hide
from tasks.teachers.endpoint.settings import EndpointSettings

_OTHERS = re.compile(r"(?:PREFECT|POTSTILL|KUBERNETES)_.*|AWS_(?!BEARER_TOKEN_BEDROCK$).*")
"""Variables whose secrets open the store and the Prefect server: a recipe must not have them sent to an address that it names."""


def key_source(settings: EndpointSettings) -> str:
    """Return in words where the key comes from."""
    if settings.key_environment:
        return f"the environment variable {settings.key_environment}"
    return f"the Prefect Secret block {settings.key_secret!r}" if settings.key_secret else "no key"


def read_key(settings: EndpointSettings) -> str | None:
    """Return the key of an endpoint, or None where the settings name none.

    Raises:
        SettingsError: If there is no such variable or block, it is empty, no header can carry what it holds, or it is one of
            those that open the store or the Prefect server.
        StageFailedError: If Prefect does not answer.
    """
    source = key_source(settings)
    if settings.key_environment:
        if _OTHERS.fullmatch(settings.key_environment):
            raise SettingsError(f"{source} is not for endpoints and not sent to {settings.url}; give the endpoint's own key")
        key = os.environ.get(settings.key_environment, "").strip()
    elif settings.key_secret:
        key = _read_secret(settings.key_secret)
    else:
        return None
    if not key:
        raise SettingsError(f"{source} is not set or empty, wanted the key of {settings.url}; set it where this runs")
    if not (key.isascii() and key.isprintable()):  # the HTTP library would quote the key in its error
        raise SettingsError(f"{source} has characters that no key has; copy the key of {settings.url} again")
    hide(key)
    return key


def _read_secret(name: str) -> str:
    from prefect.blocks.system import Secret

    try:
        block: Any = Secret.load(name)
    except ValueError:
        return ""
    except Exception as error:  # whatever its client raises when the server is away
        raise StageFailedError(f"Prefect does not give the Secret block {name!r} ({type(error).__name__}); run again") from None
    return str(block.get()).strip()
