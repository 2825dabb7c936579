"""The stubs name what the module has, with its parameters and defaults."""

import ast
import inspect
from pathlib import Path

import pytest

import clearlane

STUBS = ast.parse((Path(clearlane.__file__).parent / "__init__.pyi").read_text(encoding="utf-8"))
CLASSES = {node.name: node for node in STUBS.body if isinstance(node, ast.ClassDef)}
FUNCTIONS = {node.name: node for node in STUBS.body if isinstance(node, ast.FunctionDef)}
MODULE = {
    name: value
    for name, value in vars(clearlane).items()
    if not name.startswith("_") and not inspect.ismodule(value)
}


def public(value):
    return {name for name in vars(value) if not name.startswith("_")}


def parameters(function):
    """Names with their defaults, as text; what stands behind the star apart."""
    given = function.args.args
    defaults = [None] * (len(given) - len(function.args.defaults)) + function.args.defaults
    names = [arg.arg for arg in given if arg.arg not in ("self", "cls")]
    plain = dict(zip(names, defaults[len(given) - len(names) :]))
    return plain, dict(zip((arg.arg for arg in function.args.kwonlyargs), function.args.kw_defaults))


def same(stub, value):
    signature = inspect.signature(value)
    kinds = inspect.Parameter
    plain, keywords = parameters(stub)
    taken = [p for p in signature.parameters.values() if p.name != "self"]
    assert list(plain) == [p.name for p in taken if p.kind == kinds.POSITIONAL_OR_KEYWORD], stub.name
    assert list(keywords) == [p.name for p in taken if p.kind == kinds.KEYWORD_ONLY], stub.name
    for parameter in taken:
        default = {**plain, **keywords}[parameter.name]
        if default is None:
            assert parameter.default is kinds.empty, (stub.name, parameter.name)
        elif isinstance(default, ast.Constant) and default.value is not ...:
            assert parameter.default == default.value, (stub.name, parameter.name)


def test_the_stubs_name_all_of_the_module():
    assert set(CLASSES) | set(FUNCTIONS) == set(MODULE)
    assert (Path(clearlane.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize("name", MODULE)
def test_all_has_a_docstring_and_the_stubs_agree(name):
    value = MODULE[name]
    assert value.__doc__
    if name in FUNCTIONS:
        return same(FUNCTIONS[name], value)
    assert value.__module__ == "clearlane"
    members = {node.name: node for node in CLASSES[name].body if isinstance(node, ast.FunctionDef)}
    assert {member for member in members if not member.startswith("_")} == public(value)
    for member in public(value):
        attribute = vars(value)[member]
        assert attribute.__doc__, (name, member)
        if not inspect.isgetsetdescriptor(attribute):
            same(members[member], attribute)
    if "__new__" in members:
        same(members["__new__"], value)
    return None
