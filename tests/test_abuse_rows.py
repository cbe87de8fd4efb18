"""The table of abuses is complete: each public function, with each argument.

A public function without a row, an argument without a kind, a module that is neither
covered nor in `NOT_YET`, and a row of what is no longer there turn this red.
"""

import importlib
import inspect
import pkgutil

import companion
from tests.abuse_rows import CALLS, INSIDE, NO_ARGUMENT, NOT_YET


def public(module):
    """List what is public in a module: functions, classes, and their methods."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
            continue
        if inspect.isfunction(value) or inspect.isclass(value):
            yield name, value
        if not inspect.isclass(value) or issubclass(value, Exception):
            continue
        ours = [base for base in value.__mro__ if "companion" in base.__module__]
        members = [member for base in ours[::-1] for member in members_of(base)]
        for method, inner in dict(members).items():
            yield f"{name}.{method}", inner


def members_of(kind):
    """List the public methods that a class itself defines."""
    for method, inner in vars(kind).items():
        shown = not method.startswith("_") or method in ("__len__", "__contains__")
        if shown and (inspect.isfunction(inner) or isinstance(inner, property)):
            yield method, inner


def modules():
    """Name the modules of the core and the laboratories; drawings are no entrance."""
    for module in pkgutil.walk_packages(companion.__path__, "companion."):
        name = module.name.removeprefix("companion.")
        ours = name.startswith(("drawing", "experiments"))
        if not ours and not name.endswith("__main__"):
            yield name


def entrances():
    for module in modules():
        if module not in NOT_YET and module not in INSIDE:
            loaded = importlib.import_module(f"companion.{module}")
            for name, value in public(loaded):
                if not (inspect.isclass(value) and issubclass(value, Exception)):
                    yield f"{module}.{name}", value


def test_every_public_function_has_its_row_in_the_table():
    listed = set(CALLS) | NO_ARGUMENT | INSIDE
    assert {name for name, _ in entrances()} - listed == set()


def test_every_row_and_every_exemption_is_of_something_that_is_there():
    names = dict(entrances()) | dict.fromkeys(modules())
    listed = set(CALLS) | NO_ARGUMENT | INSIDE | NOT_YET
    assert listed - names.keys() == set()


def arguments_of(entrance):
    """List the arguments; those of ``**others`` are the base class's."""
    there = inspect.signature(entrance).parameters.values()
    names = {p.name for p in there if p.kind is not p.VAR_KEYWORD} - {"self"}
    passed_on = any(p.kind is p.VAR_KEYWORD for p in there)
    return names | (arguments_of(entrance.__mro__[1]) if passed_on else set())


def test_every_argument_has_its_kind():
    found = dict(entrances())
    for name, call in CALLS.items():
        assert call.kinds.keys() == arguments_of(found[name]), name
