// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/route_trace_export.h"

#include <cmath>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/interchange/output_file.h"
#include "profiler/interchange/session_rows.h"
#include "storage/session_reader.h"

namespace expertscope {
namespace {

Bytes expertBytes(const ModelFacts& model, LayerIndex layer) {
    return model.layerExpertBytes.empty() ? model.expertBytes : model.layerExpertBytes.at(layer.index());
}

/// Names hold no line ends and no '=': the header is "key=value key=value".
std::string headerValue(std::string text) {
    for (char& c : text)
        if (c == '\n' || c == '\r' || c == '=') c = '_';
    return text;
}

void writeHeader(OutputFile& file, const ModelFacts& model) {
    file.write("# route_trace v1\n");
    file.write(fmt::format("# model={} arch={} n_layer={} n_expert={} n_expert_used={}\n", headerValue(model.name),
                           headerValue(model.family), model.layers, model.experts, model.topK));
    for (int layer = 0; layer < model.layers; ++layer)
        file.write(fmt::format("# layer={} expert_bytes={} dense_bytes=0\n", layer,
                               expertBytes(model, LayerIndex(layer)).count()));
    file.write("turn,phase,step,layer,slot,expert,weight,residency,expert_bytes,dropped\n");
}

int residencyOf(Outcome outcome) {
    switch (outcome) {
        case Outcome::Miss:
            return 0;
        case Outcome::Hit:
            return 1;
        case Outcome::InFlight:
            break;
    }
    return 2;
}

}  // namespace

std::vector<std::filesystem::path> exportRouteTrace(const std::filesystem::path& session, RunId run,
                                                    const std::filesystem::path& out) {
    const SessionReader reader(session);
    const ModelFacts model = reader.run(run).description.model;
    const std::vector<TokenPlace> places = tokenPlaces(reader, run);
    OutputFile file(out);
    writeHeader(file, model);
    std::int64_t rows = 0;
    eachSelection(reader, run, places, [&](const SelectionRecord& s, const TokenPlace& token) {
        const std::string weight = std::isfinite(s.weight) ? fmt::format("{}", s.weight) : "nan";
        const Bytes moved = s.firstUse && s.outcome == Outcome::Miss ? expertBytes(model, s.layer) : Bytes{};
        file.write(fmt::format("{},{},{},{},{},{},{},{},{},{}\n", token.request, static_cast<int>(token.phase),
                               token.position, s.layer.value(), s.slot, s.expert.value(), weight,
                               residencyOf(s.outcome), moved.count(), s.action == SelectionAction::Dropped ? 1 : 0));
        ++rows;
    });
    if (rows == 0)
        throw BadInputError(fmt::format("Run {} of {} has no routing to export: name another with --run.", run.value(),
                                        session.string()));
    file.close();
    return {out};
}

}  // namespace expertscope
