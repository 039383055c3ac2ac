"""What every method in the table must satisfy, implemented or not. A new method passes this file unchanged."""

import importlib
from pathlib import Path

import pytest
import yaml

from ptgflow.contracts import PARADIGMS, Contract, MethodSpec, MethodTable, Paradigm, Prompt, StageOptions, Text
from ptgflow.stages.base import AbstractMethod
from ptgflow.stages.methods import SHIPPED, method_table

FILES = Path(__file__).parents[2] / "recipes" / "stage"


@pytest.fixture(params=SHIPPED, ids=lambda spec: spec.key)
def spec(request) -> MethodSpec:
    return request.param


def test_it_has_a_file_that_says_the_defaults(spec):
    written = yaml.safe_load((FILES / f"{spec.key}.yaml").read_text())
    axis = PARADIGMS[spec.paradigm].axis
    assert written.pop("paradigm") == spec.paradigm
    assert written.pop(axis) == spec.name
    assert spec.options.model_validate(written) == spec.options()
    assert set(written) == set(spec.options.model_fields)


def test_its_words_are_there(spec):
    assert spec.summary
    assert spec.summary[-1] != "."
    assert spec.reference
    for name, field in spec.options.model_fields.items():
        if name != "model":
            assert field.description or field.annotation is not None, name


def test_its_contract_fits_its_paradigm(spec):
    assert spec.effective_contract.refines(PARADIGMS[spec.paradigm].contract)


def test_its_options_refuse_what_they_do_not_know(spec):
    with pytest.raises(ValueError, match="extra_forbidden"):
        spec.options.model_validate({"no_such_option": 1})


def test_its_implementation_is_a_method(spec):
    if spec.implementation is None:
        pytest.skip("declared, not implemented yet")
    module, name = spec.implementation.split(":")
    made = getattr(importlib.import_module(module), name)
    assert issubclass(made, AbstractMethod)
    assert getattr(made, "__final__", False), "a method is final: compose, do not inherit"
    assert isinstance(made(spec.options()), AbstractMethod)


def test_every_file_belongs_to_a_method():
    keys = {spec.key for spec in SHIPPED}
    assert {path.relative_to(FILES).with_suffix("").as_posix() for path in FILES.rglob("*.yaml")} == keys


def test_the_defaults_of_the_paradigms_exist():
    for paradigm, row in PARADIGMS.items():
        if paradigm is not Paradigm.MERGE:
            assert row.default in method_table().of(paradigm)


def test_a_table_refuses_two_of_a_name_and_promises_beyond_the_paradigm():
    row = SHIPPED[0]
    with pytest.raises(ValueError, match=r"two methods are called 'decompose/skeleton'; rename one"):
        MethodTable((row, row))
    wide = MethodSpec(
        paradigm=Paradigm.MTP,
        name="wide",
        summary="",
        reference="",
        options=StageOptions,
        contract=Contract(takes=(Text,), leaves=Prompt),
    )
    with pytest.raises(ValueError, match="does not allow"):
        MethodTable((wide,))
