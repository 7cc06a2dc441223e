"""A CUDA trace written by hand in the format of torch 2.x, small enough to add up in the head.

Per call, in microseconds: one product whose two kernels take 30 and 10 on the device, launched once
through the runtime and once through the driver, and one copy of 5. The backward pass runs on a
thread of its own.
"""

import json
from pathlib import Path

HOST, MAIN, BACKWARD, STREAM = 100, 100, 101, 7
CALLS = 3
CALL_MICROSECONDS = 1000.0
KERNELS, COPY = (30.0, 10.0), 5.0
PEAK_BYTES = 3072

DEVICE = {
    "id": 0,
    "name": "Hand-made GPU",
    "totalGlobalMem": 8_000_000_000,
    "computeMajor": 8,
    "computeMinor": 0,
    "maxThreadsPerBlock": 1024,
    "maxThreadsPerMultiprocessor": 2048,
    "regsPerBlock": 65536,
    "warpSize": 32,
    "sharedMemPerBlock": 49152,
    "numSms": 100,
}


def host(name, category, start, length, thread=MAIN, **facts):
    return {
        "ph": "X",
        "cat": category,
        "name": name,
        "pid": HOST,
        "tid": thread,
        "ts": start,
        "dur": length,
        "args": facts,
    }


def device(name, category, start, length, correlation, external):
    facts = {"External id": external, "device": 0, "context": 1, "stream": STREAM}
    facts["correlation"] = correlation
    if category == "kernel":
        facts |= {"registers per thread": 32, "shared memory": 0, "blocks per SM": 0.5}
        facts |= {"warps per SM": 2.0, "grid": [50, 1, 1], "block": [128, 1, 1]}
        facts |= {"est. achieved occupancy %": 3}
    return {
        "ph": "X",
        "cat": category,
        "name": name,
        "pid": 0,
        "tid": STREAM,
        "ts": start,
        "dur": length,
        "args": facts,
    }


def flow(category, number, start, end, ends_on=(0, STREAM)):
    common = {"id": number, "cat": category, "name": category}
    pid, tid = ends_on
    return [
        {"ph": "s", **common, "pid": HOST, "tid": MAIN, "ts": start},
        {"ph": "f", **common, "pid": pid, "tid": tid, "ts": end, "bp": "e"},
    ]


def memory(moment, size, total):
    facts = {"Total Reserved": 4096, "Total Allocated": total, "Bytes": size, "Addr": 4096}
    return {
        "ph": "i",
        "cat": "cpu_instant_event",
        "s": "t",
        "name": "[memory]",
        "pid": HOST,
        "tid": MAIN,
        "ts": moment,
        "args": {**facts, "Device Id": 0, "Device Type": 1},
    }


def one_call(number, zero):
    """The events of a call that begins at ``zero`` microseconds."""
    ids = 10 * number
    step = f"ProfilerStep#{number + 2}"
    forward, backward = "phase: forward", "phase: backward"
    return [
        host(step, "user_annotation", zero, CALL_MICROSECONDS, **{"External id": ids}),
        host("call: prepare", "user_annotation", zero + 10, 190),
        host("call: steps", "user_annotation", zero + 200, 780),
        host("phase: basis", "user_annotation", zero + 20, 100),
        host(forward, "user_annotation", zero + 210, 200),
        host(backward, "user_annotation", zero + 450, 300),
        host("aten::copy_", "cpu_op", zero + 30, 40, **{"External id": ids + 1}),
        host(
            *("cudaMemcpyAsync", "cuda_runtime", zero + 40, 10),
            **{"External id": ids + 1, "correlation": ids + 1, "cbid": 41},
        ),
        host("aten::linear", "cpu_op", zero + 220, 100, **{"External id": ids + 2}),
        host("aten::mm", "cpu_op", zero + 230, 60, **{"External id": ids + 3}),
        host(
            *("cudaLaunchKernel", "cuda_runtime", zero + 240, 20),
            **{"External id": ids + 3, "correlation": ids + 3, "cbid": 211},
        ),
        host("MmBackward0", "cpu_op", zero + 500, 80, BACKWARD, **{"External id": ids + 4}),
        host(
            *("cuLaunchKernel", "cuda_driver", zero + 520, 20, BACKWARD),
            **{"External id": ids + 4, "correlation": ids + 4, "cbid": 307},
        ),
        device("Memcpy HtoD (Pageable -> Device)", "gpu_memcpy", zero + 60, COPY, ids + 1, ids + 1),
        device("gemm<float>", "kernel", zero + 300, KERNELS[0], ids + 3, ids + 3),
        device("gemm_t<float>", "kernel", zero + 600, KERNELS[1], ids + 4, ids + 4),
        device(step, "gpu_user_annotation", zero + 60, 550, 0, ids),
        device(forward, "gpu_user_annotation", zero + 300, KERNELS[0], 0, ids),
        *flow("ac2g", ids + 3, zero + 240, zero + 300),
        *flow("fwdbwd", ids + 9, zero + 231, zero + 501, (HOST, BACKWARD)),
        memory(zero + 235, 2048, 2048),
        memory(zero + 260, PEAK_BYTES - 2048, PEAK_BYTES),
        memory(zero + 900, -PEAK_BYTES, 0),
    ]


def document():
    events = [
        {"ph": "M", "name": "process_name", "pid": HOST, "tid": 0, "ts": 0, "args": {"name": "py"}},
        *(
            event
            for number in range(CALLS)
            for event in one_call(number, 5000.25 + number * (CALL_MICROSECONDS + 20))
        ),
        {
            "ph": "X",
            "cat": "Trace",
            "name": "PyTorch Profiler (0)",
            "pid": "Spans",
            "tid": "PyTorch Profiler",
            "ts": 4000.0,
            "dur": 5000.0,
            "args": {"Op count": 0},
        },
        {
            "ph": "i",
            "s": "g",
            "name": "Iteration Start: PyTorch Profiler",
            "pid": "Traces",
            "tid": "Trace PyTorch Profiler",
            "ts": 4000.0,
        },
        {"ph": "i", "s": "g", "name": "Record Window End", "pid": "", "tid": "", "ts": 9000.0},
    ]
    return {
        "schemaVersion": 1,
        "deviceProperties": [DEVICE],
        "host_name": "somewhere",
        "displayTimeUnit": "ms",
        "baseTimeNanoseconds": 1_700_000_000_000_000_000,
        "traceEvents": events,
        "traceName": "/tmp/x].json",
    }


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document()))
    return path
