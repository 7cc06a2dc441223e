"""What differs between two runs, each by name with both values: ``torch was 2.8, is 2.13``."""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from bench.machine.comparable import COMPARABLE, comparable_key
from bench.machine.model_code import KEY
from bench.spec.checks import shown
from bench.spec.spec import WITHOUT_EFFECT, Spec, device_kind

_CODE = "benchmark_code"
_COMMIT = "model_commit"
_MOST_NAMED = 3
_ABSENT = "absent"


def spec_differences(one: Spec, other: Spec) -> list[str]:
    """Keys of spec.toml that decide the results and differ; the first ones, and how many more."""
    was, now = _written(one), _written(other)
    found = _differing(was, now, list(dict.fromkeys([*was, *now])))
    more = len(found) - _MOST_NAMED
    return [*found[:_MOST_NAMED], f"{more} more keys differ"] if more > 0 else found


def environment_differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What makes times from two environments incomparable."""
    if comparable_key(one) == comparable_key(other):
        return []
    return _differing(one, other, [*COMPARABLE, "driver"])


def model_differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Files of the user's model that differ, with their digests, and the commits they belong to.

    None where one of the environments does not know which files there were.
    """
    was, now = one.get(KEY), other.get(KEY)
    if not isinstance(was, dict) or not isinstance(now, dict):
        return []
    found = _differing(was, now, sorted(was.keys() | now.keys()))
    return found and [*found, *_differing(one, other, [_COMMIT])]


def code_differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Whether other code did the measuring."""
    return _differing(one, other, [_CODE])


def _differing(was: Mapping[str, Any], now: Mapping[str, Any], names: list[str]) -> list[str]:
    pairs = [(name, _text(was, name), _text(now, name)) for name in names]
    return [f"{name} was {before}, is {after}" for name, before, after in pairs if before != after]


def _text(facts: Mapping[str, Any], name: str) -> str:
    return shown(facts[name]) if facts.get(name) is not None else _ABSENT


def _written(spec: Spec) -> dict[str, Any]:
    """``section.key`` -> value as spec.toml has it, without what has no effect on a number."""
    tree = {**tomllib.loads(spec.to_toml("")), "device": device_kind(spec.device)}
    for name in ("command", *WITHOUT_EFFECT):
        del tree[name]
    return dict(_flat("", tree))


def _flat(prefix: str, tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{key}.", value)
        else:  # the order of a list decides nothing
            yield f"{prefix}{key}", sorted(value, key=repr) if isinstance(value, list) else value
