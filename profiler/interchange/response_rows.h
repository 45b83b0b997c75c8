// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "profiler/interchange/imported_run.h"
#include "profiler/interchange/json_stream.h"
#include "profiler/interchange/response_stream.h"
#include "profiler/interchange/route_block.h"

namespace expertscope {

/// Expert numbers [tokens, layers, k] of one response.
struct ExpertArray {
    std::int64_t tokens = 0, layers = 0, k = 0;
    std::vector<std::int64_t> values;
    bool empty() const { return values.empty(); }
};

/// Reads the responses of a serving engine (one JSON object, several, an array of them, or streamed ones) one by one,
/// and turns what `decode` finds in each into rows. A response's completion is a request.
class ResponseRows : public RouteRowSource {
public:
    explicit ResponseRows(const std::filesystem::path& file);

    const ModelFacts& model() const override { return m_model; }
    bool next(RouteRow& row) override;
    [[noreturn]] void refuse(std::int64_t place, const std::string& what) const override;
    std::vector<std::string> notes() const override;

protected:
    /// Finds the completions of a response and tells each by tell().
    virtual void decode(const nlohmann::json& response) = 0;
    /// One completion: the first `prompt` tokens of the array are its prompt, the first `position` of the request are
    /// not in the array. `ids` are token numbers from the array's first token on, as far as they go.
    void tell(ExpertArray experts, std::int64_t prompt, std::int64_t position, std::vector<std::int64_t> ids);
    [[noreturn]] void refuseThis(const std::string& what) const;
    /// What base64 or nested lists say; `what` is for messages.
    std::string bytesOf(const nlohmann::json& text, const char* what) const;
    ExpertArray listsOf(const nlohmann::json& lists, const char* what) const;
    void nameModel(const nlohmann::json& response);
    void missPhases() { m_phasesMissing = true; }

private:
    /// A completion whose tokens have not all become rows.
    struct Completion {
        ExpertArray experts;
        std::int64_t prompt = 0, position = 0;
        std::vector<std::int64_t> ids;
        std::int32_t turn = 0;
        std::int64_t next = 0;
    };
    bool nextResponse(nlohmann::json& response);
    std::int64_t number() const { return m_stream ? m_stream->number() : m_values->number(); }
    void takeToken(Completion& completion);

    std::filesystem::path m_file;
    std::optional<JsonValueReader> m_values;  ///< of whole responses
    std::optional<ResponseStream> m_stream;   ///< of streamed ones, else
    std::deque<Completion> m_completions;
    ModelFacts m_model;
    RouteBlock m_block;
    std::int32_t m_turn = 0;
    bool m_phasesMissing = false;
    std::int64_t m_without = 0;  ///< responses without routing
};

/// A whole number of an object below a milliard, or −1.
std::int64_t countIn(const nlohmann::json& object, const char* key);

}  // namespace expertscope
