"""What can go wrong when decisions are explained on the host."""


class ExplainError(Exception):
    """Root of every error raised here on purpose."""


class RecordError(ExplainError):
    """A record lacks what an explanation needs."""


class WrongBundleError(ExplainError):
    """The bundle at hand is not the one the record was made with."""
