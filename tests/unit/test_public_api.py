"""What `import pipeline` gives."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import pytest

import pipeline


def public_names(module: ModuleType) -> list[str]:
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    )


def modules() -> Iterator[str]:
    yield "pipeline"
    for found in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
        if not found.name.rpartition(".")[2].startswith("__"):
            yield found.name


def test_all_names_what_is_public_sorted() -> None:
    assert sorted(pipeline.__all__) == public_names(pipeline)
    assert pipeline.__all__ == sorted(pipeline.__all__, key=lambda name: (not name.isupper(), name))


@pytest.mark.parametrize("name", pipeline.__all__)
def test_every_public_class_and_method_has_a_docstring(name: str) -> None:
    value = getattr(pipeline, name)
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        value = type(value)
    assert inspect.getdoc(value), name
    if inspect.isclass(value) and value.__module__.startswith("pipeline"):
        for member_name, member in vars(value).items():
            if not member_name.startswith("_") and (
                inspect.isfunction(member) or isinstance(member, property)
            ):
                # A method inherits the docstring of the one it overrides.
                assert inspect.getdoc(getattr(value, member_name)), f"{name}.{member_name}"


@pytest.mark.parametrize("name", list(modules()))
def test_every_module_says_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, name
    for member_name, member in vars(module).items():
        own = getattr(member, "__module__", None) == name
        if (
            own
            and not member_name.startswith("_")
            and (inspect.isclass(member) or inspect.isfunction(member))
        ):
            assert member.__doc__, f"{name}.{member_name}"
