# SPDX-License-Identifier: GPL-3.0-or-later
"""The include check, on small trees made for each case."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CHECKER = Path(__file__).resolve().parents[2] / "tools" / "check_includes.py"
LICENCE = "// SPDX-License-Identifier: GPL-3.0-or-later"
HEAD = f"{LICENCE}\n#pragma once\n"


class CheckIncludes(unittest.TestCase):
    def check(self, files: dict[str, str]) -> tuple[int, list[str]]:
        """The exit code and the printed lines for a tree of these files."""
        with tempfile.TemporaryDirectory() as folder:
            for path, text in files.items():
                file = Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            done = subprocess.run(
                [sys.executable, CHECKER, "--root", folder], capture_output=True, text=True, check=False
            )
        return done.returncode, done.stdout.splitlines()

    def assert_allowed(self, path: str, *includes: str) -> None:
        self.assertEqual(self.check({path: HEAD + "\n".join(f"#include {i}" for i in includes)}), (0, []))

    def assert_refused(self, path: str, include: str, words: str) -> None:
        code, lines = self.check({path: HEAD + f"\n#include {include}\n"})
        self.assertEqual((code, len(lines)), (1, 1), lines)
        self.assertTrue(lines[0].startswith(f"{path}:4: "), lines[0])
        self.assertIn(words, lines[0])

    def test_arrows_that_the_house_has_are_allowed(self) -> None:
        self.assert_allowed("engine/base/a.h", "<vector>", '"engine/base/b.h"')
        self.assert_allowed("engine/inference/a.h", '"engine/compute/kernels.h"', '"engine/offload/policy.h"')
        self.assert_allowed("profiler/capture/a.h", '"storage/session_writer.h"', '"engine/inference/engine.h"')
        self.assert_allowed("views/experts/a.h", '"views/base/view.h"', '"profiler/analysis/run_trace.h"')
        self.assert_allowed("app/desktop/a.h", '"views/experts/expert_view.h"', '"profiler/capture/recorder.h"')
        self.assert_allowed("tests/storage/a.h", '"engine/inference/engine.h"', '"tests/support/a.h"', "<sqlite3.h>")

    def test_arrows_against_the_house_are_refused_with_file_and_line(self) -> None:
        self.assert_refused("engine/base/a.h", '"engine/model/checkpoint.h"', "engine/base may not include engine/model")
        self.assert_refused("engine/model/a.h", '"engine/compute/kernels.h"', "may not include engine/compute")
        self.assert_refused("engine/inference/a.h", '"storage/session_writer.h"', "may not include storage")
        self.assert_refused("storage/a.h", '"engine/model/checkpoint.h"', "storage may not include engine/model")
        self.assert_refused("profiler/analysis/a.h", '"views/base/view.h"', "may not include views/base")
        self.assert_refused("views/experts/a.h", '"engine/inference/engine.h"', "may not include engine/inference")
        self.assert_refused("app/cli/a.h", '"tests/support/a.h"', "nothing outside tests/")

    def test_views_do_not_include_each_other(self) -> None:
        self.assert_refused("views/experts/a.h", '"views/timeline/lanes.h"', "views/experts may not include views/timeline")

    def test_libraries_stay_in_their_rooms(self) -> None:
        self.assert_refused("engine/base/a.h", "<QString>", "Qt belongs to views and app only")
        self.assert_refused("profiler/capture/a.h", "<QtCore/QObject>", "Qt belongs to")
        self.assert_refused("profiler/analysis/a.h", "<sqlite3.h>", "SQLite belongs to storage only")
        self.assert_refused("storage/a.h", "<qcustomplot.h>", "QCustomPlot belongs to")
        self.assert_refused("views/base/a.h", "<QSettings>", "QSettings belongs to app only")
        self.assert_refused("engine/model/a.h", "<CLI/CLI.hpp>", "the command-line parser belongs to app only")

    def test_a_file_in_no_known_room_is_refused(self) -> None:
        self.assert_refused("engine/cellar/a.h", '"engine/base/ids.h"', "lies in no room")

    def test_an_include_by_bare_name_is_refused(self) -> None:
        code, lines = self.check({"storage/a.cpp": f'{LICENCE}\n#include "b.h"\n', "storage/b.h": HEAD})
        self.assertEqual((code, lines), (1, ['storage/a.cpp:2: includes "b.h"; write it from the top of the tree.']))

    def test_a_test_may_include_the_helper_beside_it_by_its_name(self) -> None:
        self.assertEqual(self.check({"tests/a.cpp": f'{LICENCE}\n#include "b.h"\n', "tests/b.h": HEAD}), (0, []))

    def test_heads_of_files_are_checked(self) -> None:
        code, lines = self.check({"storage/a.cpp": "int a;\n", "storage/b.h": f"{LICENCE}\n"})
        self.assertEqual(code, 1)
        self.assertEqual([line.split(" ")[0] for line in lines], ["storage/a.cpp:1:", "storage/b.h:1:"])
        self.assertIn("SPDX", lines[0])
        self.assertIn("#pragma once", lines[1])

    def test_a_header_for_each_target_cpu_guards_itself(self) -> None:
        self.assertEqual(self.check({"engine/compute/a-inl.h": f"{LICENCE}\n"}), (0, []))

    def test_every_offence_of_a_file_is_told(self) -> None:
        text = HEAD + '#include <QString>\n#include <vector>\n#include "storage/session_reader.h"\n'
        code, lines = self.check({"engine/base/a.h": text})
        self.assertEqual((code, [line.split(" ")[0] for line in lines]), (1, ["engine/base/a.h:3:", "engine/base/a.h:5:"]))

    def test_an_empty_tree_is_not_a_pass(self) -> None:
        self.assertEqual(self.check({}), (1, []))


if __name__ == "__main__":
    unittest.main()
