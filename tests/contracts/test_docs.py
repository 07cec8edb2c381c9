"""The documentation is complete where a table promises to be."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import grpc
import pytest
from cyclopts import App

import customer_service.cli
import device_agent.cli
import provider_service.cli
from customer_service.cli.serving import serve as customer_serve
from device_agent.cli.program import Options as DeviceOptions
from service_kit import errors
from service_kit.cli.options import Options
from service_kit.cli.serve_options import ServeOptions
from service_kit.reasons import Reason

ROOT = Path(__file__).parents[2]
ERRORS = (ROOT / "docs/errors.md").read_text()
OPERATIONS = (ROOT / "docs/operations.md").read_text()
PAGES = [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
APPS = {
    "offsite-provider": provider_service.cli.app,
    "offsite-customer": customer_service.cli.app,
    "offsite-device": device_agent.cli.app,
}
OF_EVERY_COMMAND = {
    f"--{each.name.replace('_', '-')}" for each in (*fields(Options), *fields(DeviceOptions))
}


def test_every_reason_is_explained_once() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", ERRORS, re.MULTILINE)
    assert listed == [reason.value for reason in Reason]


def test_every_code_in_the_table_of_errors_exists() -> None:
    codes = re.findall(r"^\| `\w+` \| (\w+) \|", ERRORS, re.MULTILINE)
    assert set(codes) <= {code.name for code in grpc.StatusCode}


def test_every_setting_is_documented_with_its_variable() -> None:
    options = (*fields(Options), *fields(ServeOptions), *fields(DeviceOptions))
    names = [each.name for each in options]
    extra = [name for name in customer_serve.__annotations__ if name not in ("options", "return")]
    for name in (*names, *extra):
        assert f"`--{name.replace('_', '-')}" in OPERATIONS, name
        assert f"`{name.upper()}`" in OPERATIONS, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_error_class_has_a_code() -> None:
    from service_kit.server.status import CODES

    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    refusals = [each for each in classes if issubclass(each, errors.OffsiteError)]
    assert set(refusals) <= set(CODES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_named_exists_with_its_options(page: Path) -> None:
    for command in commands(page.read_text()):
        program, *words = command.split()
        apps = [APPS[program]] if program in APPS else list(APPS.values())
        words = words if program in APPS else [program, *words]
        assert any(is_known(app, words) for app in apps), command


def commands(text: str) -> Iterator[str]:
    """What a page names as commands of ours: with the program's name, or by the command alone.

    `restic …` alone is restic itself, and so is what follows ` -- `.
    """
    text = re.sub(r"\\\n +", "", text)
    spans = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^    (\S.*)", text, re.MULTILINE)
    alone = {name for app in APPS.values() for name in app if not name.startswith("-")} - {"restic"}
    for span in (part.strip() for each in spans for part in each.split(" | ")):
        first, *rest = span.split()
        if rest and (first in APPS or first in alone):
            yield re.sub(r"\$\([^)]*\)", "X", span).split("#")[0].split(">")[0].split(" -- ")[0]


def is_known(app: App, words: list[str]) -> bool:
    """Whether an app has the command, and the command its options."""
    path, apps, rest = app.parse_commands(words)
    if not path or apps[-1].default_command is None:
        return False
    known = {name for each in apps[-1].assemble_argument_collection() for name in each.names}
    return {word for word in rest if word.startswith("--")} <= known | OF_EVERY_COMMAND
