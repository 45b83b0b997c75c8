// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/model_tables.h"

#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "engine/model/checkpoint.h"
#include "profiler/analysis/analysis_catalogue.h"
#include "storage/session_writer.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

using testing::HasSubstr;

/// A session, and a copy of a small checkpoint that a run of it would name.
struct Files {
    Files() {
        SessionWriter(session()).close();
        std::filesystem::copy(std::filesystem::path(EXPERTSCOPE_ANALYSIS_DATA) / "weights/checkpoint", checkpoint(),
                              std::filesystem::copy_options::recursive);
        model = Checkpoint::open(checkpoint()).facts();
    }
    std::filesystem::path session() const { return folder / "s.esdb"; }
    std::filesystem::path checkpoint() const { return folder / "model"; }
    TemporaryFolder folder;
    ModelFacts model;
};

std::string refusal(ModelTables& tables, const std::string& text) {
    try {
        tables.table(text, {});
    } catch (const BadInputError& error) { return error.what(); }
    return "";
}

TEST(ModelTables, AreTheAnalysesOfTheCheckpointThatTheRunNames) {
    const Files files;
    const Checkpoint checkpoint = Checkpoint::open(files.checkpoint());
    ModelTables tables(files.session(), files.model);
    for (const std::string text : {"layer-diversity", "weight-similarity:layer=1", "expert-pca:layer=0"}) {
        AnalysisInput input;
        input.checkpoint = &checkpoint;
        const AnalysisTable expected = runAnalysis(analysisInfo(analysisCatalogue(), text), text, input);
        double last = 0;
        const AnalysisTable table = tables.table(text, [&](double share) { last = share; });
        EXPECT_EQ(table.columns, expected.columns);
        EXPECT_EQ(table.rows.size(), expected.rows.size());
        EXPECT_EQ(table.rows[1][3], expected.rows[1][3]) << text;
        EXPECT_EQ(last, 1) << text;
    }
}

TEST(ModelTables, StayWithTheSessionWhenTheCheckpointIsGone) {
    const Files files;
    AnalysisTable made;
    {
        ModelTables tables(files.session(), files.model);
        made = tables.table("layer-diversity", {});
    }
    std::filesystem::remove_all(files.checkpoint());
    ModelTables tables(files.session(), files.model);
    EXPECT_EQ(tables.table("layer-diversity", {}).rows[0][3], made.rows[0][3]);
    EXPECT_THAT(refusal(tables, "expert-pca:layer=0"), HasSubstr("not at " + files.checkpoint().string()));
    EXPECT_THAT(refusal(tables, "expert-pca:layer=0"), HasSubstr("put the checkpoint back"));
}

TEST(ModelTables, RefuseAnotherModelInItsPlace) {
    const Files files;
    ModelFacts other = files.model;
    other.fingerprint = "0123456789abcdef";
    ModelTables tables(files.session(), other);
    EXPECT_THAT(refusal(tables, "layer-diversity"), HasSubstr("holds another model"));
}

TEST(ModelTables, SayThatAnImportedRunNamesNoCheckpoint) {
    const Files files;
    ModelFacts imported = files.model;
    imported.path.clear();
    imported.fingerprint.clear();
    ModelTables tables(files.session(), imported);
    EXPECT_THAT(refusal(tables, "layer-diversity"), HasSubstr("does not say where the weights"));
}

TEST(ModelTables, EndWhereTheirProgressThrowsAndKeepNothing) {
    const Files files;
    struct Stop {};
    ModelTables tables(files.session(), files.model);
    EXPECT_THROW(tables.table("layer-diversity", [](double) { throw Stop(); }), Stop);
    std::filesystem::remove_all(files.checkpoint());
    ModelTables later(files.session(), files.model);
    EXPECT_NE(refusal(later, "layer-diversity"), "");
}

}  // namespace
}  // namespace expertscope
