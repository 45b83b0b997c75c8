// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/vllm_import.h"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include "profiler/interchange/npy.h"
#include "profiler/interchange/response_rows.h"
#include "profiler/interchange/routing_import.h"

namespace expertscope {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostValues = std::int64_t{1} << 32;

class VllmRows : public ResponseRows {
public:
    using ResponseRows::ResponseRows;

protected:
    void decode(const json& response) override {
        nameModel(response);
        const json* choices = nullptr;
        for (const char* key : {"choices", "outputs"})
            if (const auto found = response.find(key); found != response.end() && found->is_array()) choices = &*found;
        if (!choices) refuseThis("has no choices");
        const ExpertArray prompt = arrayIn(response, "prompt_routed_experts");
        const auto usage = response.find("usage");
        bool first = true;
        for (const json& choice : *choices) {
            if (!choice.is_object()) refuseThis("has a choice that is no object");
            const ExpertArray experts = arrayIn(choice, "routed_experts");
            json counts = usage != response.end() ? *usage : json();
            // Those of several completions are added up.
            if (choices->size() > 1 && counts.is_object()) counts.erase("completion_tokens");
            if (!experts.empty()) tellChoice(response, choice, prompt, experts, counts, first);
            first = false;
        }
    }

private:
    ExpertArray arrayIn(const json& object, const char* key) const {
        const auto found = object.find(key);
        if (found == object.end() || found->is_null()) return {};
        return found->is_object() && found->contains(kStreamedParts) ? joined((*found)[kStreamedParts], key)
                                                                     : arrayOf(*found, key);
    }

    /// Of a stream: each of the arrays holds what came before it too, or goes on after it.
    ExpertArray joined(const json& parts, const char* key) const {
        ExpertArray all;
        for (const json& part : parts) {
            ExpertArray next = arrayOf(part, key);
            if (!all.empty() && (next.layers != all.layers || next.k != all.k))
                refuseThis(fmt::format("has {} of other layers or experts in a later chunk", key));
            const bool whole =
                next.tokens >= all.tokens && std::equal(all.values.begin(), all.values.end(), next.values.begin());
            if (!whole) {
                next.tokens += all.tokens;
                next.values.insert(next.values.begin(), all.values.begin(), all.values.end());
            }
            all = std::move(next);
        }
        return all;
    }

    ExpertArray arrayOf(const json& told, const char* key) const {
        if (told.is_array()) return listsOf(told, key);
        if (!told.is_string()) refuseThis(fmt::format("has {} that are neither text nor lists", key));
        NpyReader npy(std::make_unique<std::istringstream>(bytesOf(told, key)),
                      fmt::format("The array {} of a response", key));
        if (npy.isReal() || npy.shape().size() != 3) npy.refuse("is not an array of whole numbers [tokens, layers, k]");
        ExpertArray array{npy.shape()[0], npy.shape()[1], npy.shape()[2], {}};
        if (npy.size() > kMostValues) npy.refuse("is larger than any response");
        for (std::int64_t i = 0; i < npy.size(); ++i)
            array.values.push_back(npy.integer());
        npy.finish();
        return array;
    }

    static std::vector<std::int64_t> idsIn(const json& object, const char* key) {
        std::vector<std::int64_t> ids;
        const auto found = object.find(key);
        if (found == object.end() || !found->is_array()) return ids;
        for (const json& id : *found)
            ids.push_back(id.is_number_integer() ? id.get<std::int64_t>() : -1);
        return ids;
    }

    /// A prompt runs once for all completions of a response, so only the first tells it.
    void tellChoice(const json& response, const json& choice, const ExpertArray& prompt, const ExpertArray& generated,
                    const json& usage, bool first) {
        const std::vector<std::int64_t> generatedIds = idsIn(choice, "token_ids");
        std::vector<std::int64_t> promptIds = idsIn(response, "prompt_token_ids");
        if (promptIds.empty()) promptIds = idsIn(choice, "prompt_token_ids");
        std::int64_t promptTokens = countIn(usage, "prompt_tokens");
        const std::int64_t completionTokens = countIn(usage, "completion_tokens");
        if (prompt.empty() && promptTokens < 0 && !promptIds.empty())
            promptTokens = static_cast<std::int64_t>(promptIds.size());
        // Without a prompt of its own the array holds the whole sequence but its last token, which was never run, or is
        // no longer than the completion. A request may leave out the prompt's beginning (routed_experts_prompt_start),
        // which the response does not repeat.
        const bool longer = completionTokens < 0 || generated.tokens > completionTokens || promptTokens == 0;
        const std::int64_t leftOut =
            prompt.empty() && promptTokens > 0 && completionTokens >= 0 && longer
                ? std::max<std::int64_t>(promptTokens + completionTokens - 1 - generated.tokens, 0)
                : 0;
        const bool whole = prompt.empty() && promptTokens >= 0 && generated.tokens >= promptTokens - leftOut && longer;
        if (prompt.empty() && promptTokens < 0) missPhases();
        if (!prompt.empty() && (prompt.layers != generated.layers || prompt.k != generated.k))
            refuseThis("routes its prompt through another number of layers or experts than its completion");
        const std::int64_t before = !prompt.empty() ? prompt.tokens : std::max<std::int64_t>(promptTokens - leftOut, 0);
        ExpertArray all = generated;
        if (first && !prompt.empty()) {
            all = prompt;
            all.tokens += generated.tokens;
            all.values.insert(all.values.end(), generated.values.begin(), generated.values.end());
        } else if (!first && whole) {
            const auto cut = static_cast<std::ptrdiff_t>(before * generated.layers * generated.k);
            all.values.erase(all.values.begin(), all.values.begin() + cut);
            all.tokens -= before;
        }
        const bool hasPrompt = first && (whole || !prompt.empty());
        std::vector<std::int64_t> ids = hasPrompt ? promptIds : std::vector<std::int64_t>{};
        if (hasPrompt) {
            ids.resize(static_cast<std::size_t>(leftOut + before), -1);
            ids.erase(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(leftOut));
        }
        ids.insert(ids.end(), generatedIds.begin(), generatedIds.end());
        tell(std::move(all), hasPrompt ? before : 0, hasPrompt ? leftOut : before, std::move(ids));
    }
};

}  // namespace

bool isVllmResponse(const FileHead& head) {
    const std::size_t first = head.bytes.find_first_not_of(" \t\r\n");
    if (first == std::string::npos) return false;
    const bool json = head.bytes[first] == '{' || head.bytes[first] == '[';
    if (!json && !beginsAsEventStream(head.bytes)) return false;
    return head.holds("routed_experts\"") && !head.holds("\"meta_info\"") && !head.holds("\"sgl_ext\"") &&
           !head.holds("\"sglext\"");
}

ImportedRun importVllm(const std::filesystem::path& file, const std::filesystem::path& session,
                       const ImportOptions& options) {
    return importRouting([&] { return std::make_unique<VllmRows>(file); }, session, options);
}

}  // namespace expertscope
