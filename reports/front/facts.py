"""When, where, from which commit and for how long a run was measured, in a line."""

from datetime import datetime
from typing import Any

from bench.storage.sessions import sessions_of
from reports.run.run import Run, as_float
from reports.text.formatting import DASH, listed

_COMMIT = 10
_MOST_HOSTS = 3


def facts(run: Run) -> list[tuple[str, str]]:
    """Names and values, each there whether it is known or not."""
    environment = run.environment or {}
    sessions = [each for each in sessions_of(environment) if isinstance(each, dict)]
    return [
        ("date", _date(sessions)),
        ("host", _hosts(sessions, environment)),
        ("commit", _commit(environment)),
        ("duration", _duration(sessions)),
        ("preset", str((run.spec or {}).get("preset") or DASH)),
        ("torch", str(environment.get("torch") or DASH)),
    ]


def _date(sessions: list[dict[str, Any]]) -> str:
    """The day of the first session in UTC, and that of the last where it is another."""
    days = [day for each in sessions if (day := _day(each.get("began")))]
    return DASH if not days else days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def _day(began: Any) -> str:
    try:
        moment = datetime.fromisoformat(str(began))
    except ValueError:
        return ""
    return moment.strftime("%Y-%m-%d %H:%M UTC" if moment.tzinfo else "%Y-%m-%d %H:%M")


def _hosts(sessions: list[dict[str, Any]], environment: dict[str, Any]) -> str:
    """Names of machines, and what they compute on."""
    names = list(dict.fromkeys(str(each["host"]) for each in sessions if each.get("host")))
    if len(names) > _MOST_HOSTS:
        names = [*names[:_MOST_HOSTS], f"{len(names) - _MOST_HOSTS} more"]
    gpu, cpu = environment.get("gpu_name"), environment.get("cpu_model")
    cores = environment.get("affinity_cores") or environment.get("logical_cores")
    what = str(gpu) if gpu else f"{cpu}, {cores} cores" if cpu and cores else str(cpu or "")
    return " \N{MIDDLE DOT} ".join(part for part in (listed(names), what) if part) or DASH


def _commit(environment: dict[str, Any]) -> str:
    commit = environment.get("git_commit")
    if not commit:
        return DASH
    dirty = " with changes" if environment.get("git_dirty") else ""
    return f"{str(commit)[:_COMMIT]}{dirty}"


def _duration(sessions: list[dict[str, Any]]) -> str:
    """All sessions together; one that never ended counts as unknown."""
    seconds = [as_float(each.get("seconds")) for each in sessions]
    known = [value for value in seconds if value >= 0]
    if not known:
        return DASH
    total = round(sum(known))
    hours, minutes = divmod(total // 60, 60)
    words = f"{hours} h {minutes} min" if hours else f"{minutes} min {total % 60} s"
    words = words if total >= 60 else f"{total} s"
    return words if len(known) == len(seconds) else f"{words}, and a session that was cut short"
