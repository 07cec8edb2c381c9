"""The documentation is complete where a table promises to be."""

import re
from dataclasses import fields
from pathlib import Path

import grpc
import pytest

from customer_service.cli.serving import serve as customer_serve
from service_kit import errors
from service_kit.cli.options import Options
from service_kit.cli.serve_options import ServeOptions
from service_kit.reasons import Reason

ROOT = Path(__file__).parents[2]
ERRORS = (ROOT / "docs/errors.md").read_text()
OPERATIONS = (ROOT / "docs/operations.md").read_text()


def test_every_reason_is_explained_once() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", ERRORS, re.MULTILINE)
    assert listed == [reason.value for reason in Reason]


def test_every_code_in_the_table_of_errors_exists() -> None:
    codes = re.findall(r"^\| `\w+` \| (\w+) \|", ERRORS, re.MULTILINE)
    assert set(codes) <= {code.name for code in grpc.StatusCode}


def test_every_setting_is_documented_with_its_variable() -> None:
    names = [each.name for each in (*fields(Options), *fields(ServeOptions))]
    extra = [name for name in customer_serve.__annotations__ if name not in ("options", "return")]
    for name in (*names, *extra):
        assert f"`--{name.replace('_', '-')}" in OPERATIONS, name
        assert f"`{name.upper()}`" in OPERATIONS, name


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md"])
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_error_class_has_a_code() -> None:
    from service_kit.server.status import CODES

    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    refusals = [each for each in classes if issubclass(each, errors.OffsiteError)]
    assert set(refusals) <= set(CODES)
