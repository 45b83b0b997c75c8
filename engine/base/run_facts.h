// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What a run is (told at its start) and what came of it (told at its end). The keys of the JSON summary
// (`expertscope run --json`) are the words used here.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/events.h"
#include "engine/base/ids.h"
#include "engine/base/records.h"
#include "engine/base/units.h"

namespace expertscope {

struct ModelFacts {
    std::string name;
    std::string family;       ///< "qwen3_moe"
    std::string path;         ///< where it was read from
    std::string fingerprint;  ///< hex digest of config and tensor table: the same model has the same one
    std::int32_t layers = 0;
    std::int32_t experts = 0;  ///< routed experts a layer
    std::int32_t topK = 0;
    std::int32_t hidden = 0;
    std::int32_t vocabulary = 0;
    std::int32_t context = 0;  ///< longest context in tokens
    Bytes expertBytes;         ///< of one expert; their mean where layers differ
    Bytes totalExpertBytes;
    bool hasPreGates = false;
    std::vector<float> gateDiversity;     ///< per layer: 1 − mean off-diagonal cosine similarity of the router's rows
    std::vector<Bytes> layerExpertBytes;  ///< per layer: of one of its experts; empty where all layers have expertBytes
};

/// What moving and computing an expert costs. Measured once, before the run, kept with it and constant for it, so that
/// a policy that decides by costs decides the same in a replay.
struct OffloadCosts {
    Nanoseconds transfer;      ///< one expert over the link
    Nanoseconds compute;       ///< one expert on the device, for one token
    Nanoseconds computeToken;  ///< for each further token
    Nanoseconds inPlace;       ///< one expert where it lies, for one token
    Nanoseconds inPlaceToken;  ///< for each further token
    bool known() const { return compute.count() > 0; }
};

struct RunDescription {
    ModelFacts model;
    std::string policy;
    std::string eviction;
    bool exact = true;
    std::string device = "cpu";
    Bytes budget;
    std::int32_t slots = 0;  ///< experts that fit the budget
    std::int32_t threads = 0;
    std::string link;  ///< empty when transfers are not paced
    std::string io;    ///< "direct" | "buffered"
    bool reference = false;
    RecordSet record;
    OffloadCosts costs;       ///< measured where the policy decides by them or computes in place; else zero
    std::string command;      ///< command line that repeats the run
    std::string machineJson;  ///< CPU, cores, memory, kernel, versions
    std::string startedUtc;   ///< ISO 8601
    Nanoseconds start;
    std::string group;  ///< common to runs made by one command
    std::int32_t repeat = 0;
    std::int32_t plannedTokens = 0;  ///< tokens this run will make if nothing stops it; for progress
};

/// How a policy changed what the layers' own gates would have chosen, over all choices of a run.
struct RoutingChanges {
    struct Part {
        std::int64_t choices = 0;
        double mass = 0;  ///< router weight, as chosen before anything was dropped or substituted
        void add(double weight) {
            ++choices;
            mass += weight;
        }
    };
    Part all;                        ///< none: not counted
    std::array<Part, 5> byAction{};  ///< by SelectionAction
    Part rerouted;                   ///< not among the top k of the layer's own gate
    Part& of(SelectionAction action) { return byAction[static_cast<std::size_t>(action)]; }
    const Part& of(SelectionAction action) const { return byAction[static_cast<std::size_t>(action)]; }
};

/// Times of one layer's block in decode steps: from its gate to the weighted sum of its experts, waits included.
struct BlockLatency {
    double meanMs = 0, p50Ms = 0, p90Ms = 0, p99Ms = 0;
};

struct RunSummary {
    std::int64_t promptTokens = 0, generatedTokens = 0;
    std::string stopped;  ///< of the last request
    double prefillTokensPerSecond = 0, decodeTokensPerSecond = 0, ttftMs = 0;
    double tpotP50Ms = 0, tpotP90Ms = 0, tpotP99Ms = 0;
    std::int64_t accesses = 0, hits = 0, hitsInFlight = 0, misses = 0;
    Bytes demand, prefetch, moved, useful, late, wasted, cancelled;
    double totalMs = 0, computeMs = 0, waitMs = 0, otherMs = 0;
    Bytes peakDevice;
    std::int64_t spans = 0, selections = 0, dropped = 0;
    std::string fidelityJson;          ///< "" = not measured
    std::vector<BlockLatency> blocks;  ///< [layers]; empty without decode steps. Not kept in the session
    RoutingChanges routing;            ///< what fidelityJson says of them is kept in the session
};

/// How a run stands. `running` in a file whose writer is gone reads as `crashed`.
enum class RunState : std::uint8_t { Running = 0, Complete = 1, Interrupted = 2, Crashed = 3, Failed = 4 };

}  // namespace expertscope
