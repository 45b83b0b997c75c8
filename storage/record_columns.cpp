// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/record_columns.h"

#include "engine/base/record_names.h"

namespace expertscope {
namespace {

using enum SqlKind;
using enum ChunkIndex;

template <class Enum>
std::string_view wordOf(std::int64_t value) {
    return value < 0 || value > 255 ? "unknown" : name(static_cast<Enum>(value));
}

constexpr RecordColumn kSelection[] = {{"token", 1, Id, Token},
                                       {"layer", 2, Id},
                                       {"slot", 3, Integer},
                                       {"expert", 4, Id},
                                       {"weight", 5, Float},
                                       {"outcome", 7, Word, None, wordOf<Outcome>},
                                       {"first_use", 8, Integer},
                                       {"action", 9, Word, None, wordOf<SelectionAction>},
                                       {"step", 0, Id}};

constexpr int kNormSource = 6;
constexpr RecordColumn kNorm[] = {
    {"token", 1, Id, Token}, {"layer", 2, Id}, {"slot", 3, Integer}, {"expert", 4, Id}, {"norm", kNormSource, Float}};

constexpr RecordColumn kSpan[] = {{"start_ns", 0, Integer, Time},
                                  {"end_ns", 1, Integer, Time},
                                  {"lane", 6, Id},
                                  {"kind", 7, Word, None, wordOf<SpanKind>},
                                  {"step", 3, Id},
                                  {"layer", 4, Id},
                                  {"expert", 5, Id},
                                  {"amount", 2, Integer}};

constexpr RecordColumn kRange[] = {{"start_ns", 0, Integer, Time},
                                   {"end_ns", 1, Integer, Time},
                                   {"lane", 7, Id},
                                   {"name_id", 8, Id},
                                   {"step", 4, Id},
                                   {"layer", 5, Id},
                                   {"expert", 6, Id},
                                   {"payload", 2, Payload, None, nullptr, 3}};

constexpr RecordColumn kTransfer[] = {{"id", 0, Integer},
                                      {"layer", 1, Id},
                                      {"expert", 2, Id},
                                      {"slot", 3, Id},
                                      {"bytes", 4, Integer},
                                      {"moved", 5, Integer},
                                      {"issued_ns", 6, Integer, Time},
                                      {"started_ns", 7, TimeOrNull},
                                      {"finished_ns", 8, TimeOrNull},
                                      {"issued_step", 9, Id},
                                      {"issued_layer", 10, Id},
                                      {"used_step", 11, Id},
                                      {"purpose", 12, Word, None, wordOf<TransferPurpose>},
                                      {"fate", 13, Word, None, wordOf<TransferFate>}};

constexpr RecordColumn kResidency[] = {{"time_ns", 0, Integer, Time},
                                       {"step", 1, Id},
                                       {"routed_layer", 2, Id},
                                       {"layer", 3, Id},
                                       {"expert", 4, Id},
                                       {"cause_layer", 5, Id},
                                       {"cause_expert", 6, Id},
                                       {"slot", 7, Id},
                                       {"change", 8, Word, None, wordOf<ResidencyChange>},
                                       {"reason", 9, Word, None, wordOf<ResidencyReason>},
                                       {"score", 10, Double}};

constexpr RecordColumn kPrediction[] = {{"token", 1, Id, Token},
                                        {"from_layer", 2, Id},
                                        {"target_layer", 3, Id},
                                        {"rank", 5, Integer},
                                        {"expert", 4, Id},
                                        {"score", 6, Float},
                                        {"predictor", 7, Word, None, wordOf<PredictorKind>},
                                        {"step", 0, Id}};

}  // namespace

std::span<const RecordTable> recordTables() {
    static const RecordTable tables[] = {{"selection", chunkLayout<SelectionRecord>(), kSelection},
                                         {"norm", chunkLayout<SelectionRecord>(), kNorm, kNormSource},
                                         {"span", chunkLayout<SpanRecord>(), kSpan},
                                         {"range", chunkLayout<RangeRecord>(), kRange},
                                         {"transfer", chunkLayout<TransferRecord>(), kTransfer},
                                         {"residency", chunkLayout<ResidencyRecord>(), kResidency},
                                         {"prediction", chunkLayout<PredictionRecord>(), kPrediction}};
    return tables;
}

}  // namespace expertscope
