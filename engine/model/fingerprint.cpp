// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/fingerprint.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace expertscope {

namespace {

__extension__ using Uint128 = unsigned __int128;

class Fnv128 {
public:
    void add(std::string_view bytes) {
        for (const char byte : bytes) {
            m_hash ^= static_cast<unsigned char>(byte);
            m_hash *= kPrime;
        }
    }
    std::string hex() const {
        return fmt::format("{:016x}{:016x}", static_cast<std::uint64_t>(m_hash >> 64),
                           static_cast<std::uint64_t>(m_hash));
    }

private:
    static constexpr Uint128 kPrime = (Uint128{1} << 88) + 0x13B;
    Uint128 m_hash = (Uint128{0x6C62272E07BB0142U} << 64) + 0x62B821756295C58DU;
};

}  // namespace

std::string fingerprint(const ModelConfig& config, const TensorSource& tensors) {
    Fnv128 hash;
    hash.add(fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {};", config.family, config.vocabulary,
                         config.hidden, config.layers, config.heads, config.kvHeads, config.headDim, config.experts,
                         config.topK, config.expertWidth, config.context, config.normTopK, config.normEps,
                         config.ropeTheta, config.tiedHead, config.preGates));
    std::vector<const TensorInfo*> byName;
    for (const TensorInfo& info : tensors.tensors())
        byName.push_back(&info);
    std::sort(byName.begin(), byName.end(), [](const TensorInfo* a, const TensorInfo* b) { return a->name < b->name; });
    for (const TensorInfo* info : byName) {
        hash.add(fmt::format("{} {} [{}];", info->name, info->typeName, fmt::join(info->shape, ",")));
    }
    for (const char* name : {"model.norm.weight", "model.layers.0.mlp.gate.weight"}) {
        const TensorInfo* info = tensors.find(name);
        if (info == nullptr) continue;
        std::string values(static_cast<std::size_t>(info->bytes), '\0');
        tensors.read(*info, std::as_writable_bytes(std::span(values)));
        hash.add(values);
    }
    return hash.hex();
}

}  // namespace expertscope
