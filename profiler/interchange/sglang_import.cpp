// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/sglang_import.h"

#include <fmt/format.h>

#include "profiler/interchange/little_endian.h"
#include "profiler/interchange/response_rows.h"
#include "profiler/interchange/routing_import.h"

namespace expertscope {
namespace {

using nlohmann::json;

class SglangRows : public ResponseRows {
public:
    SglangRows(const std::filesystem::path& file, const ImportOptions& options)
        : ResponseRows(file), m_layers(options.layers), m_topK(options.topK) {}

protected:
    void decode(const json& response) override {
        nameModel(response);
        if (const auto meta = response.find("meta_info"); meta != response.end() && meta->is_object()) {
            tellCompletion(*meta, *meta);
            return;
        }
        const auto choices = response.find("choices");
        if (choices == response.end() || !choices->is_array()) refuseThis("has neither meta_info nor choices");
        const auto usage = response.find("usage");
        // Older versions tell it with each choice, newer ones that of the first choice beside them.
        if (const auto extension = response.find("sglext"); extension != response.end()) {
            tellCompletion(*extension, usage != response.end() ? *usage : json(), choices->size());
            return;
        }
        for (const json& choice : *choices) {
            const json* told = &choice;
            if (choice.is_object() && choice.contains("sgl_ext")) told = &choice["sgl_ext"];
            tellCompletion(*told, usage != response.end() ? *usage : json());
        }
    }

private:
    /// `told` holds the routing of one of `choices` completions, `counts` the numbers of their tokens.
    void tellCompletion(const json& told, const json& counts, std::size_t choices = 1) {
        if (!told.is_object()) refuseThis("has a choice that is no object");
        const auto routed = told.find("routed_experts");
        if (routed == told.end() || routed->is_null()) return;
        const std::string bytes = routingOf(*routed);
        const std::int64_t prompt = countIn(counts, "prompt_tokens");
        const std::int64_t completion = countIn(counts, "completion_tokens");
        if (prompt < 0 || completion < 0)
            refuseThis(
                "does not say prompt_tokens and completion_tokens, without which its routing has no shape (a streamed "
                "one "
                "says them where the request has stream_options.include_usage)");
        std::int64_t start = std::max<std::int64_t>(countIn(told, "routed_experts_start_len"), 0);
        std::int64_t tokens = prompt + completion - 1 - start;
        if (m_layers != 0 && m_topK != 0) {
            // A request may have asked for a later start, which the response does not repeat; and several completions
            // are counted as one.
            tokens = static_cast<std::int64_t>(bytes.size()) / (std::int64_t{4} * m_layers * m_topK);
            if (choices <= 1) start = prompt + completion - 1 - tokens;
        } else if (choices > 1) {
            refuseThis("counts the tokens of several completions together (give both --layers N and --top-k N)");
        }
        if (start < 0 || (choices > 1 && prompt > tokens))
            refuseThis(fmt::format("routes {} tokens, which its {} of the prompt and {} generated are not", tokens,
                                   prompt, completion));
        ExpertArray experts = shapeOf(bytes, tokens);
        for (std::size_t at = 0; at < bytes.size(); at += 4)
            experts.values.push_back(static_cast<std::int32_t>(littleEndian(bytes, at, 4)));
        tell(std::move(experts), std::max<std::int64_t>(prompt - start, 0), start, {});
    }

    /// Of a stream: each of the arrays holds what came before it too, or goes on after it.
    std::string routingOf(const json& told) const {
        const json whole = json::array({told});
        const bool streamed = told.is_object() && told.contains(kStreamedParts);
        std::string all;
        for (const json& part : streamed ? told[kStreamedParts] : whole) {
            if (!part.is_string()) refuseThis("has routed_experts that are no text");
            std::string next = bytesOf(part, "routed_experts");
            if (next.starts_with(all))
                all = std::move(next);
            else
                all += next;
        }
        return all;
    }

    ExpertArray shapeOf(const std::string& bytes, std::int64_t tokens) const {
        const auto values = static_cast<std::int64_t>(bytes.size()) / 4;
        if (bytes.size() % 4 != 0 || tokens <= 0 || values == 0 || values % tokens != 0)
            refuseThis(fmt::format("has {} bytes of routing, which are not int32 for {} tokens", bytes.size(), tokens));
        const std::int64_t width = values / tokens;
        if (m_layers == 0 && m_topK == 0)
            refuseThis(
                fmt::format("has {} numbers for a token, and does not say how many layers and experts these are "
                            "(give --layers N or --top-k N)",
                            width));
        const std::int64_t known = m_layers != 0 ? m_layers : m_topK;
        if (width % known != 0 || (m_layers != 0 && m_topK != 0 && width != std::int64_t{m_layers} * m_topK))
            refuseThis(fmt::format("has {} numbers for a token, which --layers and --top-k do not divide", width));
        const std::int64_t layers = m_layers != 0 ? m_layers : width / m_topK;
        return {tokens, layers, width / layers, {}};
    }

    std::int32_t m_layers, m_topK;
};

}  // namespace

bool isSglangResponse(const FileHead& head) {
    // A stream tells its routing at its end; before that, this is a member of SGLang's choices alone.
    if (beginsAsEventStream(head.bytes) && head.holds("\"matched_stop\"")) return true;
    return head.holds("\"routed_experts\"") &&
           (head.holds("\"meta_info\"") || head.holds("\"sgl_ext\"") || head.holds("\"sglext\""));
}

ImportedRun importSglang(const std::filesystem::path& file, const std::filesystem::path& session,
                         const ImportOptions& options) {
    return importRouting([&] { return std::make_unique<SglangRows>(file, options); }, session, options);
}

}  // namespace expertscope
