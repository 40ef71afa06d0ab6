"""What can go wrong, in two families: a retry cannot help (terminal), or it can (transient).

Every message gives the value found, the value wanted and the remedy, and never prompt text or a secret. To add an error,
derive it from one of the two families and keep its single message argument: Prefect pickles errors between processes.
"""


class PotstillError(Exception):
    """Base of all errors raised on purpose; the secrets of the environment are withheld from the message."""

    def __init__(self, *args: object) -> None:
        """Take the message, which may quote a library's."""
        from tasks.core.secrets import withhold  # not before: it needs these classes

        super().__init__(*(withhold(value) if isinstance(value, str) else value for value in args))


class TerminalError(PotstillError):
    """Settings or data are wrong; running again without a change fails again."""


class TransientError(PotstillError):
    """A service, a machine or a process failed; running again resumes the work."""


class SettingsError(TerminalError, ValueError):
    """A recipe asks for something that does not exist or cannot work."""


class DataError(TerminalError, ValueError):
    """Input rows break the schema, or too many of them were set aside."""


class ModelError(TerminalError, ValueError):
    """Model weights or a tokenizer cannot be found or used."""


class BudgetExceededError(TerminalError):
    """The requests, tokens or money that a run may spend are spent; what was answered is kept."""


class RefusedConversationError(ModelError):
    """A model's chat template does not take a conversation."""


class UnsafePathError(TerminalError, ValueError):
    """A path would leave the store."""


class StageCancelledError(TerminalError):
    """Somebody cancelled a stage's run; whoever started it does not start it again by itself."""


class GivenUpError(TerminalError):
    """A stage ended badly more often than its budget allows."""


class StoreUnreachableError(TransientError, OSError):
    """The artefact store does not answer; nothing may be concluded about what it holds."""


class DamagedArtifactError(TransientError):
    """A file of an artefact is gone or differs from its record; the next run makes the artefact anew."""


class StageFailedError(TransientError):
    """A stage's process ended without finishing its work."""


class EngineDiedError(TransientError):
    """A teacher's engine ended while it was answering; what it had finished is kept."""


class PreemptedError(TransientError):
    """A stage was told to stop, saved its state, and can be resumed."""
