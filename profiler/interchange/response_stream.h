// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <istream>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace expertscope {

/// Whether a file's beginning is that of server-sent events, as serving engines stream their answers.
bool beginsAsEventStream(std::string_view head);

/// Under this key of `routed_experts` stand the arrays of a streamed answer that came in more than one chunk.
inline constexpr const char* kStreamedParts = "chunks";

/// Reads streamed answers of serving engines (lines `data: {…}`, at the end `data: [DONE]`) and puts each answer's
/// chunks together to what the same request answers without streaming: of choices by their index the token ids of all
/// chunks, else the last thing that was told. The routing of an answer comes whole with its last chunks (vLLM, SGLang);
/// what comes in several is kept in order under kStreamedParts. An answer ends at [DONE], where another's id begins, or
/// with the file. gzip too. Memory is that of one answer.
class ResponseStream {
public:
    /// Throws BadInputError where the file cannot be read.
    explicit ResponseStream(const std::filesystem::path& file);
    /// The next answer; false after the last. Throws BadInputError naming file and line where a line is no event, and
    /// naming the answer where it ends before its routing came.
    bool next(nlohmann::json& response);
    /// Of the last answer, from 1.
    std::int64_t number() const { return m_number; }
    /// Answers without their [DONE] whose routing had come.
    std::int64_t cutOff() const { return m_cutOff; }

private:
    bool nextEvent(nlohmann::json& chunk, bool& done);
    void endAnswer(nlohmann::json answer, bool done);
    [[noreturn]] void refuseLine(const std::string& what) const;

    std::filesystem::path m_file;
    std::unique_ptr<std::istream> m_in;
    std::int64_t m_line = 0, m_number = 0, m_cutOff = 0;
    bool m_torn = false;                       ///< the file ended inside an event
    nlohmann::json m_ahead;                    ///< the first chunk of the next answer
    std::deque<nlohmann::json> m_completions;  ///< of an answer that is told apart
};

}  // namespace expertscope
