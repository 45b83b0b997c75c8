#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks who includes whom: the arrows between the rooms, the libraries that belong to one room, and file heads.

Prints one line, FILE:LINE: SENTENCE, for everything that is against the rules below, and exits with 1 if there was any.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ENGINE = {"engine/base", "engine/model", "engine/compute", "engine/offload", "engine/inference"}
LOOKED_AT = {"engine/base", "storage", "profiler/analysis", "profiler/replay"}

# Room → the rooms that it may include besides itself. A folder belongs to the longest room that it begins with.
ARROWS: dict[str, set[str]] = {
    "engine/base": set(),
    "engine/model": {"engine/base"},
    "engine/compute": {"engine/base", "engine/model"},
    "engine/offload": {"engine/base", "engine/model", "engine/compute"},
    "engine/inference": ENGINE,
    "storage": {"engine/base"},
    "profiler/capture": ENGINE | {"storage"},
    "profiler/analysis": ENGINE | {"storage"},
    "profiler/replay": ENGINE | {"storage", "profiler/analysis"},
    "profiler/interchange": ENGINE | {"storage", "profiler/analysis"},
    "views/base": LOOKED_AT,
    "views": LOOKED_AT | {"views/base"},
    "app": ENGINE | LOOKED_AT | {"profiler/capture", "profiler/interchange", "views", "views/base"},
}
# Tests may include every room; a view is a room of its own, so that views do not include each other.
HOUSE = ("engine", "storage", "profiler", "views", "app", "tests")
SOURCE_SUFFIXES = {".h", ".cpp", ".cu", ".cuh"}
HEADER_SUFFIXES = {".h", ".cuh"}
# Highway's way: these are included once for each target CPU and guard themselves by its macros.
INCLUDED_PER_TARGET = "-inl.h"

# Library headers that only some rooms may include: (pattern of the header, folders, what it is).
LIBRARIES: list[tuple[re.Pattern[str], tuple[str, ...], str]] = [
    (re.compile(r"sqlite3(ext)?\.h$"), ("storage",), "SQLite"),
    (re.compile(r"qcustomplot\.h$"), ("views", "app"), "QCustomPlot"),
    (re.compile(r"CLI/"), ("app",), "the command-line parser"),
    (re.compile(r"(.*/)?QSettings$"), ("app",), "QSettings"),
    (re.compile(r"Q[A-Zt]\w*(/|$)|q(t|widget|string|object|painter|image|color)\w*\.h$"), ("views", "app"), "Qt"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
LICENCE = "// SPDX-License-Identifier: GPL-3.0-or-later"


def room_of(path: str) -> str | None:
    """The room of a file or folder below the root, None where the table knows none. A view is named with its folder."""
    rooms = [room for room in ARROWS if path == room or path.startswith(room + "/")]
    room = max(rooms, key=len, default=None)
    if room == "views":
        return "/".join(path.split("/")[:2])
    return room


def may_include(room: str, other: str) -> bool:
    if room == other:
        return True
    allowed = ARROWS.get(room) if room in ARROWS else ARROWS["views"]
    return other in allowed or ("views" in allowed and other.startswith("views/"))


def room_problem(path: str, header: str) -> str | None:
    """What is wrong with a house file's inclusion of another house file."""
    if path.startswith("tests/"):
        return None
    if header.startswith("tests/"):
        return f"includes {header}, but nothing outside tests/ may include tests"
    room, other = room_of(path), room_of(header)
    if room is None:
        return "lies in no room that tools/check_includes.py knows; add its room to the table of arrows"
    if other is None:
        return f"includes {header}, which lies in no room that tools/check_includes.py knows"
    if not may_include(room, other):
        return f"includes {header}, but {room} may not include {other}"
    return None


def library_problem(path: str, header: str) -> str | None:
    if path.startswith("tests/"):
        return None
    for pattern, folders, name in LIBRARIES:
        if pattern.match(header) and not path.startswith(tuple(folder + "/" for folder in folders)):
            return f"includes {header}, but {name} belongs to {' and '.join(folders)} only"
    return None


def include_problem(root: Path, path: str, quote: str, header: str) -> str | None:
    if header.split("/")[0] in HOUSE and "/" in header:
        return room_problem(path, header)
    beside = quote == '"' and (root / path).parent.joinpath(header).exists()
    if beside and not path.startswith("tests/"):  # a test may name the helper that lies beside it
        return f'includes "{header}"; write it from the top of the tree'
    return library_problem(path, header)


def head_problem(path: str, lines: list[str]) -> str | None:
    if not lines or lines[0].rstrip() != LICENCE:
        return f'begins without "{LICENCE}"'
    once = Path(path).suffix in HEADER_SUFFIXES and not path.endswith(INCLUDED_PER_TARGET)
    if once and not any(line.strip() == "#pragma once" for line in lines):
        return "is a header without #pragma once"
    return None


def problems_of(root: Path, path: str) -> Iterator[str]:
    """Every problem of one file as "FILE:LINE: SENTENCE."; `path` is relative to the root, with slashes."""
    lines = (root / path).read_text(encoding="utf-8").splitlines()
    if problem := head_problem(path, lines):
        yield f"{path}:1: {problem}."
    for number, line in enumerate(lines, start=1):
        if found := INCLUDE.match(line):
            if problem := include_problem(root, path, *found.groups()):
                yield f"{path}:{number}: {problem}."


def source_files(root: Path) -> list[str]:
    return sorted(
        file.relative_to(root).as_posix()
        for folder in HOUSE
        for file in (root / folder).rglob("*")
        if file.suffix in SOURCE_SUFFIXES and file.is_file()
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent, help="top of the tree")
    root = parser.parse_args().root
    files = source_files(root)
    problems = [problem for path in files for problem in problems_of(root, path)]
    for problem in problems:
        print(problem)
    print(f"{len(files)} files looked at, {len(problems)} against the rules.", file=sys.stderr)
    return 1 if problems or not files else 0


if __name__ == "__main__":
    sys.exit(main())
