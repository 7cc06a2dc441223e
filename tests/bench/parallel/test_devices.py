"""What each worker runs on."""

import os

import pytest

from bench.errors import SpecError
from bench.parallel import devices as module
from bench.parallel.devices import Device, devices, parse_workers


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Six logical cores, of which 0 and 3, 1 and 4, 2 and 5 are threads of one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    monkeypatch.setattr(module, "_whole", lambda path: int(path.parts[-3][3:]) % 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def cores(count: int | None, threads: int | None = None) -> list[tuple[int, ...]]:
    return [device.cores for device in devices(count, "cpu", threads, {})]


def test_every_worker_has_as_many_cores_and_whole_ones() -> None:
    assert cores(None) == [(0,), (3,), (1,), (4,), (2,), (5,)]
    assert cores(3) == [(0, 3), (1, 4), (2, 5)]
    assert cores(2) == [(0, 1, 3), (2, 4, 5)]
    assert cores(4) == [(0,), (3,), (1,), (4,)]  # and not 2, 2, 1, 1
    assert cores(None, 2) == [(0, 3), (1, 4), (2, 5)]
    assert cores(1) == [(0, 1, 2, 3, 4, 5)]


@pytest.mark.parametrize(("count", "threads"), [(7, None), (4, 2), (None, 7)])
def test_more_than_there_are_cores_is_refused(count: int | None, threads: int | None) -> None:
    with pytest.raises(SpecError, match="got 6 cores for"):
        cores(count, threads)


def test_every_worker_sees_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    two = devices(None, "cuda", None, {"gpu_count": 2})

    assert [device.variables["CUDA_VISIBLE_DEVICES"] for device in two] == ["0", "1"]
    assert [device.name for device in two] == ["GPU 0", "GPU 1"]
    assert not any(device.shared or device.cores for device in two)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-ab, 7")
    three = devices(3, "cuda", None, {"gpu_count": 2})
    assert [d.variables["CUDA_VISIBLE_DEVICES"] for d in three] == ["GPU-ab", "7", "GPU-ab"]
    assert [device.shared for device in three] == [False, False, True]


def test_one_gpu_of_several_is_refused() -> None:
    with pytest.raises(SpecError, match="expected --device cuda with --workers; got cuda:1"):
        devices(2, "cuda:1", None, {})


def test_names_of_sets() -> None:
    assert [device.name for device in devices(3, "cpu", None, {})][:2] == [
        "cores 0, 3",
        "cores 1, 4",
    ]
    assert devices(6, "cpu", None, {})[0] == Device("core 0", (0,))
    assert devices(1, "cpu", None, {})[0].name == "cores 0-5"


def test_words_for_workers() -> None:
    assert parse_workers(" auto ") is None
    assert parse_workers("8") == 8
    for text in ("0", "-1", "two", "1.5", "9999"):
        with pytest.raises(SpecError, match="expected --workers auto or a number"):
            parse_workers(text)
