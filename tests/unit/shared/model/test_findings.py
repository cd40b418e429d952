"""What is wrong with data, in plain words without the values."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from shared.model.findings import details, plain_words

SECRET = "s3cret"
TIME = "must be a time with its offset, such as 2025-01-15T08:00:00Z"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class A(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["a"]


class B(BaseModel):
    kind: Literal["b"]


def said(kind: Any, value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    [found] = details(caught.value)
    assert "input" not in found
    return plain_words(found)


EITHER = Annotated[A | B, Field(discriminator="kind")]


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (A, {}, "is missing; give it"),
        (A, {"kind": "a", SECRET: 1}, "there is no such field; is it misspelt?"),
        (A, SECRET, "must be a JSON object"),
        (dict[str, Any], SECRET, "must be a JSON object"),
        (list[int], SECRET, "must be a list"),
        (str, 5, "must be a text"),
        (SecretStr, 5, "must be a text"),
        (Annotated[str, Field(min_length=3)], "s3", "must have at least 3 character(s)"),
        (Annotated[str, Field(max_length=1)], SECRET, "must have at most 1 character(s)"),
        (Annotated[str, Field(pattern="^[a-z]{2}$")], SECRET, "does not fit the pattern ^[a-z]{2}$"),
        (Annotated[list[int], Field(min_length=1)], [], "must have at least 1"),
        (Annotated[list[int], Field(max_length=1)], [1, 2], "must have at most 1"),
        (int, SECRET, "must be a whole number"),
        (int, 1.5, "must be a whole number"),
        (float, SECRET, "must be a number"),
        (bool, SECRET, "must be true or false"),
        (Annotated[int, Field(ge=10)], 1, "must be at least 10"),
        (Annotated[int, Field(le=10)], 11, "must be at most 10"),
        (Annotated[float, Field(gt=0)], 0, "must be more than 0.0"),
        (Annotated[float, Field(lt=1)], 1, "must be less than 1.0"),
        (Colour, SECRET, "must be 'red' or 'blue'"),
        (Literal["x", "y"], SECRET, "must be 'x' or 'y'"),
        (EITHER, {}, "must say its 'kind'"),
        (EITHER, {"kind": SECRET}, "its 'kind' must be one of 'a', 'b'"),
        (AwareDatetime, SECRET, TIME),
        (AwareDatetime, "2025-01-01T00:00:00", TIME),
        (Annotated[complex, Field()], SECRET, "is not valid"),
    ],
)
def test_each_kind_of_finding_is_said_plainly(kind: Any, value: Any, words: str) -> None:
    assert said(kind, value) == words
