// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace expertscope {

/// An integer that cannot be mistaken for another kind of integer. `Tag` only names the kind.
template <class Tag, class Rep>
class StrongInt {
public:
    using Representation = Rep;

    constexpr StrongInt() = default;
    constexpr explicit StrongInt(Rep value) : m_value(value) {}

    constexpr Rep value() const { return m_value; }
    /// The value as an index into a container; negative values are programmer errors.
    constexpr std::size_t index() const { return static_cast<std::size_t>(m_value); }

    constexpr StrongInt& operator++() {
        ++m_value;
        return *this;
    }
    constexpr auto operator<=>(const StrongInt&) const = default;

private:
    Rep m_value = 0;
};

/// Index of a decoder layer, from 0.
using LayerIndex = StrongInt<struct LayerIndexTag, std::int32_t>;
/// Index of a routed expert inside its layer, from 0.
using ExpertId = StrongInt<struct ExpertIdTag, std::int32_t>;
/// Index of a token in its run: prompts and generated tokens of all requests in order, from 0.
using TokenIndex = StrongInt<struct TokenIndexTag, std::int32_t>;
/// Index of a forward step in its run (a prefill is one step, each decoded token one), from 0.
using StepIndex = StrongInt<struct StepIndexTag, std::int32_t>;
/// Index of a request in its run, from 0.
using RequestIndex = StrongInt<struct RequestIndexTag, std::int32_t>;
/// Index of a slot in the device arena, from 0.
using SlotIndex = StrongInt<struct SlotIndexTag, std::int32_t>;
/// Number of a run in its session file, from 1.
using RunId = StrongInt<struct RunIdTag, std::int64_t>;
/// Number of a timeline lane in its run: 0 is the compute thread, 1… its workers, 100… transfer threads.
using LaneId = StrongInt<struct LaneIdTag, std::int32_t>;
/// Number of a range's name in its run, from 0.
using RangeNameId = StrongInt<struct RangeNameIdTag, std::int32_t>;

/// One routed expert of a model.
struct ExpertRef {
    LayerIndex layer;
    ExpertId expert;
    constexpr auto operator<=>(const ExpertRef&) const = default;
};

}  // namespace expertscope

template <class Tag, class Rep>
struct std::hash<expertscope::StrongInt<Tag, Rep>> {
    std::size_t operator()(const expertscope::StrongInt<Tag, Rep>& id) const noexcept {
        return std::hash<Rep>{}(id.value());
    }
};
