"""What can go wrong in the harness, as exceptions whose text is shown to the user as it is."""


class BenchError(Exception):
    """Base of everything the harness raises on purpose."""

    exit_code: int = 2


class SpecError(BenchError):
    """A command line, axis, variant, preset or spec file that cannot be run."""


class RegistrationError(BenchError):
    """An entry point whose name another package uses too, or that cannot be imported."""


class DataError(BenchError):
    """A data set that is absent, truncated or corrupt; names file and byte."""


class JournalError(BenchError):
    """A journal that is damaged, of another schema or of another spec."""


class RunError(BenchError):
    """A run that could not be carried out."""


class StorageError(RunError):
    """The disk took no more; the run is incomplete, and what was written before is whole."""

    exit_code: int = 4


class StoppedError(RunError):
    """A key or a signal ended the run; what was written before is whole."""

    def __init__(self, signal: str, number: int, hint: str) -> None:
        super().__init__(f"interrupted by {signal}{hint}")
        self.exit_code = 128 + number  # as shells say it


class NotComparableError(BenchError):
    """Two source trees or runs whose times must not be compared."""

    exit_code: int = 3
