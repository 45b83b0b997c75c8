// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/policies/policies.h"

namespace expertscope {
namespace {

/// Everything on the device: what every other policy is measured against ("GPU-only" in the papers).
class Resident final : public Policy {
public:
    bool keepsAllResident() const override { return true; }
};

}  // namespace

PolicyEntry residentPolicy() {
    return {{.name = "resident",
             .parameters = {},
             .needs = {},
             .source = "the reference of every paper (GPU-only)",
             .summary = "Every expert is on the device before the run; ignores the budget."},
            [](Parameters&) { return std::unique_ptr<Policy>(std::make_unique<Resident>()); }};
}

}  // namespace expertscope
