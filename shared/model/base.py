"""What our models descend from."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A model whose validator is made when it is first needed: a function imports more models than its first event
    needs, and making their validators takes longer than all else about them.

    pydantic sees to it that of threads that need it at once one makes it (since 2.14).
    """

    model_config = ConfigDict(defer_build=True)


def make_validators() -> None:
    """Make those of all models that are imported by now."""
    kinds: list[type[BaseModel]] = [Model]
    while kinds:
        kind = kinds.pop()
        kind.model_rebuild()
        kinds += kind.__subclasses__()
