// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/deep_argument.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "app/cli/engine_arguments.h"
#include "engine/base/deep_sink.h"
#include "engine/base/error.h"

namespace expertscope {
namespace {

constexpr std::string_view kRaw = "raw";

[[noreturn]] void refuse(const std::string& parameter) {
    throw UsageError(
        fmt::format("A deep capture has no '{}': use layers=FIRST-LAST, tokens=FIRST-LAST, examples=N and raw or "
                    "raw=SIZE, as in deep:layers=0-3:tokens=0-63:examples=16:raw=2GiB.",
                    parameter));
}

/// The whole of `text` as a number from 0.
std::int32_t numberOf(const std::string& text, const std::string& parameter) {
    std::int32_t number = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < 0) refuse(parameter);
    return number;
}

std::pair<std::int32_t, std::int32_t> rangeOf(const std::string& text, const std::string& parameter) {
    const std::size_t dash = text.find('-');
    const std::int32_t first = numberOf(text.substr(0, dash), parameter);
    const std::int32_t last = dash == std::string::npos ? first : numberOf(text.substr(dash + 1), parameter);
    if (last < first)
        throw UsageError(
            fmt::format("The range of '{}' ends before it begins: write the smaller number first.", parameter));
    return {first, last};
}

void takeParameter(const std::string& parameter, DeepCaptureOptions& options) {
    if (parameter == kRaw) {
        options.raw = true;
        return;
    }
    const std::size_t equals = parameter.find('=');
    if (equals == std::string::npos) refuse(parameter);
    const std::string key = parameter.substr(0, equals), value = parameter.substr(equals + 1);
    if (key == "layers") {
        const auto [first, last] = rangeOf(value, parameter);
        options.firstLayer = LayerIndex(first);
        options.lastLayer = LayerIndex(last);
    } else if (key == "tokens") {
        const auto [first, last] = rangeOf(value, parameter);
        options.firstToken = TokenIndex(first);
        options.lastToken = TokenIndex(last);
    } else if (key == "examples") {
        options.examples = numberOf(value, parameter);
    } else if (key == kRaw) {
        const SizeSpec most = parseSize(value, "the raw vectors of a deep capture");
        if (most.share) refuse(parameter);
        options.raw = true;
        options.mostRaw = most.bytes;
    } else {
        refuse(parameter);
    }
}

bool isDeep(const std::string& item) { return item == "deep" || item.starts_with("deep:"); }

}  // namespace

std::vector<std::string> recordItems(const std::string& list) {
    std::vector<std::string> items;
    for (const std::string& item : splitList(list, "--record")) {
        const bool parameter =
            !items.empty() && isDeep(items.back()) && (item == kRaw || item.find('=') != std::string::npos);
        if (parameter)
            items.back() += ":" + item;
        else
            items.push_back(item);
    }
    return items;
}

std::optional<DeepCaptureOptions> parseDeepCapture(const std::string& list) {
    for (const std::string& item : recordItems(list)) {
        if (!isDeep(item)) continue;
        DeepCaptureOptions options;
        for (std::size_t colon = item.find(':'); colon != std::string::npos;) {
            const std::size_t next = item.find(':', colon + 1);
            takeParameter(item.substr(colon + 1, next == std::string::npos ? next : next - colon - 1), options);
            colon = next;
        }
        return options;
    }
    return std::nullopt;
}

std::optional<std::string> rawVectorsNote(const DeepCaptureOptions& deep, const ModelConfig& model, std::int64_t tokens,
                                          std::int64_t runs) {
    if (!deep.raw) return std::nullopt;
    const auto taken = [](std::int64_t first, std::int64_t last, std::int64_t all) {
        return std::max<std::int64_t>(0, std::min(last, all - 1) - first + 1);
    };
    const std::int64_t layers = taken(deep.firstLayer.value(), deep.lastLayer.value(), model.layers);
    const std::int64_t most = taken(deep.firstToken.value(), deep.lastToken.value(), tokens);
    const Bytes size = deepRawBytes(model.experts, model.hidden, model.expertWidth) * layers * most * runs;
    const std::string what =
        fmt::format("The raw vectors of {} layers and up to {} tokens{} take up to {}", layers, most,
                    runs > 1 ? fmt::format(" in each of {} runs", runs) : "", formatBytes(size));
    if (size > deep.mostRaw)
        throw UsageError(
            fmt::format("{}, more than the {} that they may: take fewer layers= or tokens=, or allow more "
                        "with deep:raw=SIZE.",
                        what, formatBytes(deep.mostRaw)));
    return what + " in the session.";
}

}  // namespace expertscope
