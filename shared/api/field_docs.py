"""The docstrings under the fields of models, as descriptions of a JSON schema's properties.

pydantic can do the same (`use_attribute_docstrings`), but reads source files whenever a model's module is imported,
in every function. Here they are read only when the description is made.
"""

import ast
import inspect
import sys
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue


class DescribedFields(GenerateJsonSchema):
    """Schemas whose properties have their fields' docstrings."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        found = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        for name, text in field_docs(model).items():
            field = model.model_fields.get(name)
            names = {name} if field is None else {name, field.alias, field.serialization_alias, field.validation_alias}
            for key in names & found.get("properties", {}).keys():
                found["properties"][key].setdefault("description", text)
        return found


def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """A model's fields with their docstrings, as one line each; a field that has none is left out."""
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if issubclass(cls, BaseModel) and cls is not BaseModel:
            found |= _documented(cls.__module__).get(cls.__qualname__, {})
    return found


@cache
def _documented(module: str) -> dict[str, dict[str, str]]:
    """The classes of a module, each with its fields' docstrings."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: _of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    return {
        field.target.id: " ".join(inspect.cleandoc(doc.value.value).split())
        for field, doc in zip(node.body, node.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(doc, ast.Expr)
        and isinstance(doc.value, ast.Constant)
        and isinstance(doc.value.value, str)
    }
