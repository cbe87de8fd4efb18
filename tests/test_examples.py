"""The examples in the docstrings of the library are run, and say what is so.

What they show is exact on every processor: integers, shapes, strings, zeros.
"""

import doctest
import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest
import torch

import companion

MODULES = [m.name for m in pkgutil.walk_packages(companion.__path__, "companion.")]
CORE = [
    name
    for name in MODULES
    if (name.count(".") == 1 or ".classify." in name) and not name.endswith("__")
]
#: Public names that need none, and why.
WITHOUT = {
    "companion.datasets": "may have to fetch what it reads",
    "companion.classifier.NameNetwork": "what the classifiers share: see them",
    "companion.reference": "needs d2l",
    "companion.rnn.RecurrentLayer": "makes no step itself: see RNN, LSTM and GRU",
    "companion.training.Epoch": "a record: see fit",
    "companion.measuring.wide": "one line inside",
}
#: What an example may use without an import, as the chapters do.
GIVEN = {"torch": torch, "nn": torch.nn}


def wrong_examples(module: ModuleType) -> list[str]:
    """Run the examples of a module; return what is said of those that are wrong."""
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    with torch.random.fork_rng(devices=[]):
        for test in doctest.DocTestFinder().find(module, extraglobs=GIVEN):
            runner.run(test, out=said.append)
    return said


def without_example(module: ModuleType) -> list[str]:
    """List the public functions and classes that have no example."""
    own = [
        value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    ]
    return [value.__qualname__ for value in own if ">>>" not in (value.__doc__ or "")]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_right(name):
    if not name.endswith("__main__"):
        assert wrong_examples(importlib.import_module(name)) == []


@pytest.mark.parametrize("name", sorted(set(CORE) - WITHOUT.keys()))
def test_everything_public_in_the_core_has_an_example(name):
    found = without_example(importlib.import_module(name))
    assert [f for f in found if f"{name}.{f}" not in WITHOUT] == []


def test_what_needs_no_example_is_there():
    names = set(CORE)
    for module in CORE:
        names |= {f"{module}.{name}" for name in dir(importlib.import_module(module))}
    assert WITHOUT.keys() - names == set()


def made(doc: str) -> ModuleType:
    """Make a module of one function with this docstring."""
    module = ModuleType("made")
    exec(f'def f():\n    """{doc}"""\n    return 1', module.__dict__)
    return module


def test_a_wrong_example_is_found():
    assert wrong_examples(made("\n    >>> f()\n    1\n    ")) == []
    (said,) = wrong_examples(made("\n    >>> f()\n    2\n    "))
    assert "Expected:\n    2\nGot:\n    1" in said


def test_an_example_that_raises_is_found():
    (said,) = wrong_examples(made("\n    >>> g()\n    1\n    "))
    assert "NameError" in said


def test_an_example_of_the_library_that_is_changed_is_found(monkeypatch):
    module = importlib.import_module("companion.text")
    monkeypatch.setattr(module.clean, "__doc__", module.clean.__doc__ + "\n>>> 1\n2\n")
    (said,) = wrong_examples(module)
    assert "Expected:\n    2\nGot:\n    1" in said


def test_a_function_without_an_example_is_found():
    assert without_example(made("Return one.")) == ["f"]
    assert without_example(made("\n    >>> f()\n    1\n    ")) == []
