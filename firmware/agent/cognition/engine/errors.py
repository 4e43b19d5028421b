"""What can go wrong with a model, by remedy."""


class ModelError(Exception):
    """Root of everything the engine raises about a model or its inputs."""


class FormatError(ModelError):
    """The bytes are not a whole, consistent .tflite file: copy or convert it again."""


class UnsupportedError(ModelError):
    """A sound model that needs something this engine does not compute: change the model."""


class ArenaError(ModelError):
    """The model's activations need more memory than there is: make it smaller."""


class InputError(ModelError):
    """What was passed to predict() does not fit the model's inputs."""
