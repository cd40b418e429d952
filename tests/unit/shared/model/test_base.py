"""Validators of models are made when they are needed, and all can be made."""

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from threading import Barrier

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.model.base import Model, make_validators

ROOT = Path(__file__).parents[4]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for folder in ("shared", "functions")
    for path in (ROOT / folder).rglob("*.py")
    if "Model)" in path.read_text()
)


def test_a_validator_is_made_when_it_is_needed() -> None:
    class Inner(Model):
        number: int

    class Outer(Model):
        inner: Inner

    assert not Outer.__pydantic_complete__
    with pytest.raises(ValidationError, match=r"inner\.number"):
        Outer.model_validate({"inner": {"number": "seven"}})
    assert Outer.model_validate({"inner": {"number": 7}}) == Outer(inner=Inner(number=7))
    assert Outer.__pydantic_complete__


def test_threads_that_need_a_validator_at_once_all_get_the_whole_of_it() -> None:
    """Before pydantic 2.14 one made it while others took the parent's, which knows other fields (pydantic 11849)."""
    start = Barrier(8, timeout=10)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(30):

            class Base(Model):
                number: int

            class Special(Base):
                model_config = ConfigDict(extra="forbid")

                inner: Base
                text: str

            def use(of: type[Special] = Special) -> Special:
                start.wait()
                return of.model_validate({"number": 1, "inner": {"number": 2}, "text": "x"})

            found = [future.result(10) for future in [pool.submit(use) for _ in range(8)]]
            assert {(each.number, each.inner.number, each.text) for each in found} == {(1, 2, "x")}


def test_validators_of_all_that_is_there_are_made() -> None:
    class Base(Model):
        number: int

    class Special(Base):
        text: str

    make_validators()
    assert Base.__pydantic_complete__
    assert Special.__pydantic_complete__


@pytest.mark.parametrize("module", MODULES)
def test_every_model_has_a_validator(module: str) -> None:
    """What is wrong with a model shows only when its validator is made, which no import does."""
    models = [each for each in vars(import_module(module)).values() if isinstance(each, type)]
    for model in models:
        if issubclass(model, BaseModel) and model.__module__ == module:
            model.model_rebuild(force=True)
            assert model.__pydantic_complete__


def test_all_of_our_models_are_made_late() -> None:
    found = {module: vars(import_module(module)).values() for module in MODULES}
    models = {each for values in found.values() for each in values if isinstance(each, type)}
    ours = {each for each in models if issubclass(each, BaseModel) and each.__module__ in MODULES}
    assert len(ours) > 150
    assert {each for each in ours if not issubclass(each, Model)} == set()
