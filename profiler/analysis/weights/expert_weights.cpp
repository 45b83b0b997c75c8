// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/expert_weights.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/error.h"
#include "engine/model/element_convert.h"

namespace expertscope {
namespace {

std::size_t indexOf(ExpertMatrix matrix) { return static_cast<std::size_t>(matrix); }

}  // namespace

const char* nameOf(ExpertMatrix matrix) {
    switch (matrix) {
        case ExpertMatrix::Up:
            return "up";
        case ExpertMatrix::Gate:
            return "gate";
        case ExpertMatrix::Down:
            return "down";
    }
    return "";
}

ExpertMatrices::ExpertMatrices(const Checkpoint& checkpoint, const TensorSource* dense)
    : m_checkpoint(checkpoint), m_layers(static_cast<std::size_t>(checkpoint.config().layers)) {
    openFiles(checkpoint.tensors());
    for (std::int32_t layer = 0; layer < layers(); ++layer) {
        addRouted(layer);
        addShared(layer);
    }
    if (dense != nullptr) addDense(*dense);
}

std::size_t ExpertMatrices::openFiles(const TensorSource& source) {
    const std::size_t first = m_files.size();
    for (const std::filesystem::path& path : source.files())
        m_files.emplace_back(path);
    return first;
}

void ExpertMatrices::addRouted(std::int32_t layer) {
    Layer& to = m_layers[static_cast<std::size_t>(layer)];
    for (std::int32_t expert = 0; expert < experts(); ++expert) {
        const ExpertPlacement& placement = m_checkpoint.expert({LayerIndex(layer), ExpertId(expert)});
        const auto placeAt = [&](std::int64_t offset) {
            for (const FileRange& range : placement.ranges) {
                if (offset < range.length)
                    return Place{static_cast<std::size_t>(range.file), range.offset + offset, placement.type};
                offset -= range.length;
            }
            throw FailedError("An expert's matrix lies outside of its file ranges; this is an error of the program.");
        };
        to.units.push_back({expert, std::to_string(expert), m_checkpoint.config().expertWidth});
        to.places.push_back(
            {placeAt(placement.upOffset), placeAt(placement.gateOffset), placeAt(placement.downOffset)});
    }
}

bool ExpertMatrices::addNamed(std::int32_t layer, const TensorSource& source, std::size_t firstFile,
                              const std::string& prefix, const std::string& name) {
    std::array<Place, 3> places;
    std::int64_t neurons = 0;
    for (const ExpertMatrix matrix : kExpertMatrices) {
        const TensorInfo* const info = source.find(fmt::format("{}{}_proj.weight", prefix, nameOf(matrix)));
        if (info == nullptr) return false;
        const bool down = matrix == ExpertMatrix::Down;
        if (matrix == ExpertMatrix::Up && info->shape.size() == 2) neurons = info->shape[0];
        const std::vector<std::int64_t> wanted =
            down ? std::vector<std::int64_t>{hidden(), neurons} : std::vector<std::int64_t>{neurons, hidden()};
        if (info->type == ElementType::Other || info->shape != wanted)
            throw BadInputError(fmt::format(
                "Tensor \"{}\" in {} cannot be compared with the experts of {}: it is {} [{}] and must be F32, F16 or "
                "BF16 with {} inputs; give a model of the same hidden size.",
                info->name, source.files()[static_cast<std::size_t>(info->file)].string(), m_checkpoint.name(),
                info->typeName, fmt::join(info->shape, ", "), hidden()));
        places[indexOf(matrix)] = {firstFile + static_cast<std::size_t>(info->file), info->offset, info->type};
    }
    Layer& to = m_layers[static_cast<std::size_t>(layer)];
    to.units.push_back({-1, name, static_cast<std::int32_t>(neurons)});
    to.places.push_back(places);
    return true;
}

void ExpertMatrices::addShared(std::int32_t layer) {
    const TensorSource& source = m_checkpoint.tensors();
    const std::string mlp = fmt::format("model.layers.{}.mlp.", layer);
    if (addNamed(layer, source, 0, mlp + "shared_expert.", "SE")) return;
    if (addNamed(layer, source, 0, mlp + "shared_experts.", "SE")) return;
    for (int n = 0; addNamed(layer, source, 0, fmt::format("{}shared_experts.{}.", mlp, n), fmt::format("SE{}", n));)
        ++n;
}

void ExpertMatrices::addDense(const TensorSource& dense) {
    const std::size_t first = openFiles(dense);
    bool any = false;
    for (std::int32_t layer = 0; layer < layers(); ++layer)
        any |= addNamed(layer, dense, first, fmt::format("model.layers.{}.mlp.", layer), "F");
    if (!any)
        throw BadInputError(
            fmt::format("{} has no dense FFN (model.layers.N.mlp.up_proj.weight and its like): give a dense model of "
                        "the same hidden size.",
                        dense.files().front().parent_path().string()));
}

std::int64_t ExpertMatrices::rows(LayerIndex layer, std::size_t unit, ExpertMatrix matrix) const {
    return matrix == ExpertMatrix::Down ? hidden() : units(layer)[unit].neurons;
}

std::int64_t ExpertMatrices::columns(LayerIndex layer, std::size_t unit, ExpertMatrix matrix) const {
    return matrix == ExpertMatrix::Down ? units(layer)[unit].neurons : hidden();
}

ElementType ExpertMatrices::type(LayerIndex layer, std::size_t unit, ExpertMatrix matrix) const {
    return m_layers[layer.index()].places[unit][indexOf(matrix)].type;
}

void ExpertMatrices::read(LayerIndex layer, std::size_t unit, ExpertMatrix matrix, std::int64_t first,
                          std::span<std::byte> out) const {
    const Place& place = m_layers[layer.index()].places[unit][indexOf(matrix)];
    const InputFile& file = m_files[place.file];
    if (file.readAt(place.offset + first * static_cast<std::int64_t>(elementSize(place.type)), out) < out.size())
        throw BadInputError(fmt::format("{} became shorter while it was read: copy it again.", file.path().string()));
}

std::vector<float> ExpertMatrices::neurons(LayerIndex layer, std::size_t unit, ExpertMatrix matrix) const {
    const auto rowCount = static_cast<std::size_t>(rows(layer, unit, matrix));
    const auto columnCount = static_cast<std::size_t>(columns(layer, unit, matrix));
    std::vector<float> values(rowCount * columnCount);
    std::vector<std::byte> raw(values.size() * elementSize(type(layer, unit, matrix)));
    read(layer, unit, matrix, 0, raw);
    convertToFloats(type(layer, unit, matrix), raw, values);
    if (matrix != ExpertMatrix::Down) return values;
    std::vector<float> turned(values.size());
    constexpr std::size_t kTile = 16;  // columns whose cache lines are filled while they are near
    for (std::size_t c0 = 0; c0 < columnCount; c0 += kTile)
        for (std::size_t r = 0; r < rowCount; ++r)
            for (std::size_t c = c0; c < std::min(c0 + kTile, columnCount); ++c)
                turned[c * rowCount + r] = values[r * columnCount + c];
    return turned;
}

std::vector<float> ExpertMatrices::router(LayerIndex layer) const {
    return m_checkpoint.readFloats(fmt::format("model.layers.{}.mlp.gate.weight", layer.value()));
}

}  // namespace expertscope
