// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/view_catalogue.h"

#include "views/cache/cache_view.h"
#include "views/compare/compare_view.h"
#include "views/diversity/diversity_view.h"
#include "views/experts/experts_view.h"
#include "views/links/links_view.h"
#include "views/norms/norms_view.h"
#include "views/overview/overview_view.h"
#include "views/timeline/timeline_view.h"
#include "views/tokens/tokens_view.h"
#include "views/whatif/whatif_view.h"

namespace expertscope {
namespace {

template <class Concrete>
ViewEntry entry(const char* name, const char* title) {
    return {
        .name = name, .title = title, .make = [](SessionModel& session, SelectionModel& selection, QWidget* parent) {
            return new Concrete(session, selection, parent);
        }};
}

}  // namespace

const std::vector<ViewEntry>& viewCatalogue() {
    static const std::vector<ViewEntry> views{
        entry<OverviewView>("overview", "Overview"),  entry<ExpertsView>("experts", "Expert heat map"),
        entry<TimelineView>("timeline", "Timeline"),  entry<TokensView>("tokens", "Tokens"),
        entry<CacheView>("cache", "Reuse and cache"), entry<LinksView>("links", "Links"),
        entry<NormsView>("norms", "Output norms"),    entry<DiversityView>("diversity", "Layer diversity"),
        entry<CompareView>("compare", "Compare"),     entry<WhatIfView>("whatif", "What if"),
    };
    return views;
}

}  // namespace expertscope
