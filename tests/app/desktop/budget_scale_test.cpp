// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/budget_scale.h"

#include <gtest/gtest.h>

#include "app/desktop/budget_slider.h"

namespace expertscope {
namespace {

/// The shape of the bundled model: 8 × 32 experts, top 4, of 108 KiB.
ModelFacts demoShape() {
    ModelFacts model;
    model.layers = 8;
    model.experts = 32;
    model.topK = 4;
    model.expertBytes = Bytes(108 * 1024);
    return model;
}

TEST(BudgetScale, ReadsAsShareBytesExpertsAndExpertsPerLayer) {
    EXPECT_EQ(BudgetScale(demoShape()).text(64), "25 % · 6.75 MiB · 64 of 256 experts · ≈ 8 per layer");
    EXPECT_EQ(BudgetScale(demoShape()).text(1), "0.391 % · 108 KiB · 1 of 256 experts · ≈ 0.125 per layer");
    EXPECT_EQ(BudgetScale(demoShape()).text(256), "100 % · 27.0 MiB · 256 of 256 experts · ≈ 32 per layer");
}

TEST(BudgetScale, MarksOneLayersDemandOneTokensDemandAndEverything) {
    const auto marks = BudgetScale(demoShape()).marks();
    ASSERT_EQ(marks.size(), 3U);
    EXPECT_EQ(marks[0].experts, 4);
    EXPECT_EQ(marks[1].experts, 32);
    EXPECT_EQ(marks[2].experts, 256);
}

TEST(BudgetScale, GivesTheCommandLineAPercentageOnlyWhereItIsWhole) {
    const BudgetScale scale(demoShape());
    EXPECT_EQ(scale.argument(64), "25%");
    EXPECT_EQ(scale.argument(65), QString::number(65 * 108 * 1024));
}

TEST(BudgetScale, WhatTheCommandLineReadsBackIsTheSameNumberOfExperts) {
    const BudgetScale scale(demoShape());
    const Bytes all = scale.bytes(scale.largest());
    for (int experts = scale.smallest(); experts <= scale.largest(); ++experts) {
        const SizeSpec spec = parseSize(scale.argument(experts).toStdString(), "--budget");
        EXPECT_EQ(spec.of(all).count() / (108 * 1024), experts);
    }
}

TEST(BudgetScale, NeverGoesBelowOneExpert) { EXPECT_EQ(BudgetScale(demoShape()).expertsAt(0), 1); }

TEST(BudgetSlider, SaysWhatItIsSetTo) {
    BudgetSlider slider;
    slider.setScale(BudgetScale(demoShape()), 0.25);
    EXPECT_TRUE(slider.reading().startsWith("25 % · 6.75 MiB"));
    slider.setExperts(256);
    EXPECT_EQ(slider.argument(), "100%");
    slider.clearScale();
    EXPECT_EQ(slider.argument(), "");
}

}  // namespace
}  // namespace expertscope
