// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/record_names.h"

#include <gtest/gtest.h>

namespace expertscope {
namespace {

TEST(RecordNames, AreTheWordsThatScriptsCompareWith) {
    EXPECT_EQ(name(Outcome::InFlight), "in-flight");
    EXPECT_EQ(name(Outcome::Miss), "miss");
    EXPECT_EQ(name(SpanKind::ExpertCompute), "expert-compute");
    EXPECT_EQ(name(SpanKind::Predict), "predict");
    EXPECT_EQ(name(TransferFate::Cancelled), "cancelled");
    EXPECT_EQ(name(ResidencyReason::RunEnd), "run-end");
    EXPECT_EQ(name(RunState::Crashed), "crashed");
    EXPECT_EQ(name(Severity::DataLoss), "data-loss");
    EXPECT_EQ(name(LaneRole::NearMemory), "near-memory");
}

TEST(RecordNames, SayUnknownOutsideTheEnumeration) {
    EXPECT_EQ(name(static_cast<Outcome>(3)), "unknown");
    EXPECT_EQ(name(static_cast<SpanKind>(255)), "unknown");
}

}  // namespace
}  // namespace expertscope
