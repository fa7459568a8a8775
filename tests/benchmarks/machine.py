"""Where the figures come from: the processor, the versions, how busy it was."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from mnist_exp.runs import provenance


def facts() -> dict[str, Any]:
    """Describes this machine and this code."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _cpu_model(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "load_average": os.getloadavg()[0],
        "versions": provenance.versions(),
        "git": msgspec.to_builtins(provenance.git_record()),
    }


def describe(facts: dict[str, Any]) -> str:
    """Says the same in a line."""
    versions = facts["versions"]
    software = ", ".join(f"{name} {versions[name]}" for name in ("tensorflow", "keras"))
    line = f"{facts['cpu']}, {facts['cores']} cores, {software}"
    busy = facts["load_average"] > 0.5
    return line + (f"; REMARK: the machine was busy (load {facts['load_average']:.1f})" if busy else "")


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")
