import getpass
import json
import platform
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import typer
from typer.testing import CliRunner

from bench.cli.looking.env import env
from bench.errors import SpecError
from bench.machine import environment
from bench.machine.comparable import COMPARABLE, comparable_key
from bench.machine.environment import describe
from bench.machine.git import git as ask_git

H100 = {
    "cpu_model": "AMD EPYC 9575F",
    "physical_cores": 16,
    "affinity_cores": 16,
    "torch": "2.13.0+cu130",
    "torch_threads": 16,
    "cpu_matmul_precision": "none",
    "deterministic_algorithms": False,
    "gpu_name": "NVIDIA H100 80GB HBM3",
    "gpu_capability": "9.0",
    "driver": "580.159.03",
    "cuda": "13.0",
    "tf32_matmul": False,
    "tf32_cudnn": False,
    "cudnn_benchmark": False,
}


def git(root, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    command = ["git", *identity, "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "pyproject.toml").write_text('[project]\nname = "teleport-bench"\nversion = "9.8.7"\n')
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "one")
    return root


def test_everything_survives_json_unchanged():
    found = describe("cpu")
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_versions_and_counts_are_those_of_this_process():
    found = describe("cpu")
    assert found["python"] == platform.python_version()
    assert found["torch"] == torch.__version__
    assert found["torch_threads"] == torch.get_num_threads()
    assert 1 <= found["affinity_cores"] <= found["logical_cores"]
    assert found["memory_bytes"] > 2**28
    assert len(found["load_average"]) == 3
    assert [found[name] for name in ("gpu_name", "gpu_capability", "driver", "cudnn")] == [None] * 4


def test_neither_host_nor_user_nor_home_is_named(monkeypatch):
    secret = "unmistakable-name"
    monkeypatch.setattr(platform, "node", lambda: secret)
    monkeypatch.setattr(socket, "gethostname", lambda: secret)
    monkeypatch.setattr(getpass, "getuser", lambda: secret)
    monkeypatch.setattr(Path, "home", lambda: Path(f"/home/{secret}"))
    text = json.dumps(describe("cpu"))
    assert secret not in text
    assert str(Path(environment.__file__).parent) not in text


@pytest.mark.parametrize("wrong", ["gpu", "mps", "", "cuda:x"])
def test_unknown_device_is_refused(wrong):
    with pytest.raises(SpecError, match=f"to be cpu, cuda or cuda:N; got '{wrong}'"):
        describe(wrong)


@pytest.mark.parametrize(("device", "count"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_device_that_is_not_here_is_refused(monkeypatch, device, count):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(SpecError, match=f"got '{device}', and torch .* sees {count} CUDA devices"):
        describe(device)


def test_gpu_is_described(monkeypatch):
    card = SimpleNamespace(name="NVIDIA H100", major=9, minor=0, total_memory=2**36)
    asked = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: asked.append(device) or card
    )
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    monkeypatch.setattr(environment, "_driver", lambda: "580.159.03")

    found = describe("cuda:1")

    assert asked == [torch.device("cuda:1")]
    assert found["gpu_name"] == "NVIDIA H100"
    assert found["gpu_capability"] == "9.0"
    assert found["gpu_memory_bytes"] == 2**36
    assert found["driver"] == "580.159.03"
    assert found["cudnn"] == 91002


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_real_gpu_is_described():
    found = describe("cuda")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["gpu_name"] == torch.cuda.get_device_name()
    assert found["driver"]
    assert comparable_key(found) != comparable_key(describe("cpu"))


@pytest.mark.parametrize(
    "line",
    [
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.104.05  Release Build  (r@b)",
    ],
)
def test_driver_is_read_from_the_kernel_where_nvml_is_missing(monkeypatch, tmp_path, line):
    file = tmp_path / "version"
    file.write_text(f"{line}\nGCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(environment, "_NVIDIA", file)
    assert environment._driver() == "535.104.05"


class NVMLError(Exception):
    pass


def nvml(monkeypatch, failing):
    calls = []

    def init():
        calls.append("init")
        if failing:
            raise NVMLError

    fake = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=init,
        nvmlSystemGetDriverVersion=lambda: "580.1",
        nvmlShutdown=lambda: calls.append("shutdown"),
    )
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return calls


def test_driver_is_asked_of_nvml_first(monkeypatch):
    calls = nvml(monkeypatch, failing=False)
    assert environment._driver() == "580.1"
    assert calls == ["init", "shutdown"]


def test_nvml_without_its_library_is_not_fatal(monkeypatch, tmp_path):
    nvml(monkeypatch, failing=True)
    monkeypatch.setattr(environment, "_NVIDIA", tmp_path / "absent")
    assert environment._driver() is None


@pytest.mark.parametrize(
    ("backend", "uses"),
    [
        (SimpleNamespace(fp32_precision="tf32"), True),
        (SimpleNamespace(fp32_precision="ieee", allow_tf32=True), False),
        (SimpleNamespace(allow_tf32=True), True),
        (SimpleNamespace(allow_tf32=False), False),
    ],
)
def test_tf32_flag_of_new_and_old_torch(backend, uses):
    assert environment._uses_tf32(backend) is uses


@pytest.mark.parametrize(
    "setting", ["backend.allow_tf32 = True", "backend.fp32_precision = 'tf32'"]
)
def test_tf32_is_recorded_however_it_was_set(setting):
    # In a process of its own: torch does not let the two ways be mixed afterwards.
    code = (
        f"import torch; backend = torch.backends.cuda.matmul; {setting};"
        "from bench.machine.environment import describe; print(describe('cpu')['tf32_matmul'])"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    )
    assert answer.stdout.strip() == "True"
    assert describe("cpu")["tf32_matmul"] is False


def test_cpu_model_is_read_where_linux_tells(monkeypatch, tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel\t\t: 1\nmodel name\t: Fast  CPU\ncpu MHz\t\t: 2596.1\n")
    monkeypatch.setattr(environment, "_CPUINFO", file)
    assert environment._cpu_model() == "Fast  CPU"
    file.write_text("processor\t: 0\nCPU part\t: 0xd40\n")
    monkeypatch.setattr(platform, "processor", lambda: "aarch64")
    assert environment._cpu_model() == "aarch64"


def test_source_tree_has_commit_and_dirty_flag(checkout):
    clean = environment._source(checkout)
    assert clean == {
        "project_version": "9.8.7",
        "git_commit": git(checkout, "rev-parse", "HEAD"),
        "git_dirty": False,
    }
    (checkout / "untracked").touch()
    assert environment._source(checkout)["git_dirty"] is False
    (checkout / "pyproject.toml").write_text('[project]\nname = "other"\n')
    assert environment._source(checkout)["git_dirty"] is True


def test_copy_inside_a_foreign_checkout_has_no_commit(checkout):
    installed = checkout / "site-packages"
    installed.mkdir()
    found = environment._source(installed)
    assert (found["git_commit"], found["git_dirty"]) == (None, None)


def test_hook_of_another_repository_does_not_mislead(checkout, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    git(other, "commit", "-q", "--allow-empty", "-m", "other")
    commit = git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert environment._source(checkout)["git_commit"] == commit


def test_the_users_own_configuration_of_git_counts(checkout, monkeypatch):
    for name, value in {"COUNT": "1", "KEY_0": "user.name", "VALUE_0": "a user"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    assert ask_git(checkout, "config", "user.name").stdout.strip() == "a user"


def test_machine_without_git_is_not_fatal(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert environment._source(checkout)["git_commit"] is None


def test_key_is_that_of_what_was_read_back():
    found = describe("cpu")
    assert comparable_key(json.loads(json.dumps(found))) == comparable_key(found)
    assert len(comparable_key(found)) == 16


@pytest.mark.parametrize(
    "change",
    [
        {"load_average": [9.0, 9.0, 9.0]},
        {"cpu_mhz": 3100, "uptime": 5, "hostname": "b", "boot_time": 1},
        {"platform": "Linux-7.0", "memory_bytes": 1, "python": "3.14.0", "git_commit": "b" * 40},
        {"driver": "580.82.07"},
        {"device": "cuda:1"},
    ],
)
def test_key_ignores_what_does_not_make_times_incomparable(change):
    assert comparable_key(H100 | change) == comparable_key(H100)


@pytest.mark.parametrize(
    "change",
    [
        {"cpu_model": "AMD EPYC 9654"},
        {"physical_cores": 8},
        {"affinity_cores": 2},
        {"torch": "2.12.0+cu130"},
        {"torch_threads": 1},
        {"cpu_matmul_precision": "bf16"},
        {"deterministic_algorithms": True},
        {"gpu_name": "NVIDIA H200"},
        {"gpu_name": None},
        {"gpu_capability": "10.0"},
        {"driver": "570.159.03"},
        {"driver": None},
        {"cuda": "12.8"},
        {"tf32_matmul": True},
        {"tf32_cudnn": True},
        {"cudnn_benchmark": True},
    ],
)
def test_key_changes_with_what_makes_times_incomparable(change):
    assert comparable_key(H100 | change) != comparable_key(H100)


def test_key_of_an_incomplete_record_can_be_told():
    assert comparable_key({}) != comparable_key(H100)


def test_describe_fills_every_entry_that_the_key_reads():
    assert set(COMPARABLE) | {"driver"} <= set(describe("cpu"))
    assert set(COMPARABLE) | {"driver"} == set(H100)


def command_line(*arguments):
    app = typer.Typer()
    app.command()(env)
    return CliRunner().invoke(app, arguments)


def test_env_prints_json_with_the_key():
    found = json.loads(command_line("--json", "--device", "cpu").stdout)
    assert found["comparable_key"] == comparable_key(found)
    assert found["python"] == platform.python_version()


def test_env_prints_a_plain_table(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = command_line()
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["device"] == "cpu"
    assert lines["gpu_name"] == "-"
    assert len(lines["load_average"].split()) == 3
    assert "\x1b" not in result.stdout


def test_env_leaves_a_wrong_device_to_the_top_level():
    assert isinstance(command_line("--device", "gpu").exception, SpecError)


def test_without_psutil_the_lack_is_named_and_the_rest_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)

    found = environment._machine()

    assert found["not_installed"] == "psutil"
    assert found["memory_bytes"] is None
    assert found["logical_cores"] >= 1
