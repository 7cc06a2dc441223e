"""docs/gate.md: its commands are accepted, its workflow is called as it wants to be."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "gate.md").read_text()
WORKFLOW = (ROOT / ".github" / "workflows" / "gate.yml").read_text()
INPUTS = re.findall(r"^      ([a-z-]+):$", WORKFLOW.partition("permissions:")[0], re.MULTILINE)
COMMANDS = re.findall(r"^teleport-bench ((?:gate|calibrate) .*)", TEXT, re.MULTILINE)


@pytest.mark.parametrize("words", COMMANDS)
def test_its_commands_would_run(
    words: str, command: Callable[..., tuple[int, str, str]], repository: Path
) -> None:
    code, _, said = command(*words.replace("origin/main", "HEAD").split(), "--dry-run")

    assert code == 0, said


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 5


def test_its_workflow_gives_what_the_reusable_one_takes() -> None:
    (caller,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    given = re.findall(r"^      ([a-z-]+): ", caller, re.MULTILINE)
    required = re.findall(
        r"^      ([a-z-]+):\n(?:        .*\n)*?        required: true", WORKFLOW, re.M
    )

    assert "uses: ./.github/workflows/gate.yml" in caller
    assert set(required) <= set(given) <= set(INPUTS)
    (named,) = re.findall(r"inputs are ([^.]*)\.", TEXT)
    assert re.findall(r"`([a-z-]+)`", named) == INPUTS
