// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "profiler/interchange/import_registry.h"
#include "storage/session_reader.h"
#include "tests/storage/sample_records.h"

namespace expertscope {

/// The sample that tests/data/interchange/make_samples.py made under that name.
inline std::filesystem::path sampleFile(const std::string& name) {
    return std::filesystem::path(EXPERTSCOPE_INTERCHANGE_SAMPLES) / name;
}

/// What the samples route, as that script says it.
inline int expertOf(int token, int layer, int slot) {
    const int first = (token * 3 + layer * 5) % 8;
    return slot == 0 ? first : (first + 1 + token % 3) % 8;
}

/// Imports into s.esdb of a folder of its own.
class ImportTest : public testing::Test {
protected:
    std::filesystem::path session() const { return folder / "s.esdb"; }
    std::filesystem::path write(const char* name, const std::string& bytes) {
        std::ofstream(folder / name, std::ios::binary) << bytes;
        return folder / name;
    }
    ImportedRun import(const std::filesystem::path& file, const ImportOptions& options = {},
                       const std::string& format = "auto") {
        return importFormat(format, file).import(file, session(), options);
    }
    /// The sentence of the refusal; "" where the file was taken. A refused file must leave no session behind.
    std::string refusal(const std::filesystem::path& file, const ImportOptions& options = {},
                        const std::string& format = "auto") {
        std::filesystem::remove(session());
        try {
            import(file, options, format);
        } catch (const BadInputError& error) {
            EXPECT_FALSE(std::filesystem::exists(session())) << "a refused import left a session";
            return error.what();
        }
        return "";
    }
    RecordBatch records(int run = 1) const {
        const SessionReader reader(session());
        ReadCursor cursor;
        RecordBatch all;
        for (RecordBatch batch = reader.readNew(RunId(run), cursor); !batch.empty();
             batch = reader.readNew(RunId(run), cursor))
            addTo(all, batch);
        return all;
    }
    /// "step token layer slot expert weight" of every selection.
    static std::vector<std::string> routing(const RecordBatch& batch) {
        std::vector<std::string> out;
        for (const SelectionRecord& s : batch.selections)
            out.push_back(std::to_string(s.step.value()) + " " + std::to_string(s.token.value()) + " " +
                          std::to_string(s.layer.value()) + " " + std::to_string(s.slot) + " " +
                          std::to_string(s.expert.value()) + " " + std::to_string(s.weight));
        return out;
    }

    TemporaryFolder folder;
};

}  // namespace expertscope
