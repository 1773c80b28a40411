"""The exceptions: one family, each with the parts of its message."""


class HeartlensError(Exception):
    """Something that Heartlens cannot work with. Its message is one sentence: what is wrong, and what helps.

    Attributes:
        file: The file or record at fault, as a string; ``None`` where none is.
        place: Where in it, such as ``line 3`` or ``byte 236``; or the argument at fault.
        found: What is there.
        expected: What was expected there.

    Each attribute is a string, or ``None`` where the message does not say it.
    """

    def __init__(
        self,
        message: str,
        file: str | None = None,
        place: str | None = None,
        found: str | None = None,
        expected: str | None = None,
    ) -> None:
        super().__init__(message)
        self.file = file
        self.place = place
        self.found = found
        self.expected = expected

    def __reduce__(self) -> tuple[type, tuple[str | None, ...]]:
        # Errors cross the borders of processes, as in Ray, and lose nothing there.
        return type(self), (str(self), self.file, self.place, self.found, self.expected)


class InputError(HeartlensError, ValueError):
    """An argument is wrong: type, shape or values of an array, a sample rate, R peaks, a name that is none."""


class RecordError(HeartlensError):
    """A record, its annotations or another file cannot be read or written."""


class ModelError(HeartlensError):
    """A model cannot be loaded, compiled or run."""
