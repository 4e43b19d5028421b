"""What can go wrong in training, as one short tree."""


class TrainingError(Exception):
    """Root of every error training raises on purpose."""


class DataError(TrainingError):
    """Recorded data is missing, damaged or cannot be fetched."""


class BundleError(TrainingError):
    """A model bundle is not what it should be; `problems` lists everything found."""

    def __init__(self, thing: str, problems: list[str], hint: str = ""):
        self.thing = thing
        self.problems = problems
        text = f"{thing}: " + "; ".join(problems)
        super().__init__(f"{text}. {hint}" if hint else text)


class NotBitExactError(TrainingError):
    """The board's engine and TFLite-Micro disagree: the model must not be shipped."""


class ToolMissingError(TrainingError):
    """A package of the training set (TensorFlow, matplotlib) is not installed."""
