// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/tokenizer_file.h"

#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/model/byte_alphabet.h"
#include "engine/model/json_text.h"
#include "engine/model/utf8.h"

namespace expertscope {

namespace {

using nlohmann::json;

/// Far above every published vocabulary; keeps one wrong id from asking for gigabytes.
constexpr std::int64_t kMaxTokenId = (1 << 24) - 1;

/// Reads one tokenizer.json, its name at hand for messages.
class TokenizerReader {
public:
    TokenizerReader(const json& root, const std::string& file) : m_root(root), m_file(file) {}

    TokenizerFile read() {
        const json* model = valueAt(m_root, "model");
        if (model == nullptr) refuse("has no \"model\"");
        checkModel(*model);
        const json* preTokenizer = valueAt(m_root, "pre_tokenizer");
        if (preTokenizer == nullptr) unsupported("no pre-tokenizer");
        TokenizerFile result{.bpe = {},
                             .preTokenizer = PreTokenizer(*preTokenizer, m_file),
                             .rawTokens = {},
                             .normalizedTokens = {},
                             .nfc = false,
                             .ignoreMerges = false,
                             .bytes = {}};
        if (const json* normalizer = valueAt(m_root, "normalizer")) result.nfc = isNfc(*normalizer, 0);
        result.ignoreMerges = flagAt(*model, "ignore_merges", false);
        readVocabulary(*model, result);
        readMerges(*model, result.bpe);
        readAddedTokens(result);
        checkAlphabet(result.bpe);
        return result;
    }

private:
    [[noreturn]] void refuse(const std::string& what) const {
        throw BadInputError(fmt::format("{} {}; use the tokenizer.json that belongs to the model", m_file, what));
    }

    [[noreturn]] void unsupported(const std::string& what) const {
        throw BadInputError(fmt::format(
            "{} has {}, which is not supported; ExpertScope reads byte-level BPE tokenizers", m_file, what));
    }

    void checkModel(const json& model) const {
        const std::string type = textAt(model, "type");
        // Files from before 2021 give no type; only BPE has merges.
        if (type != "BPE" && !(type.empty() && valueAt(model, "merges") != nullptr)) {
            unsupported(fmt::format("a tokenizer of the type {}", type.empty() ? "(none)" : type));
        }
        const json* dropout = valueAt(model, "dropout");
        if (dropout != nullptr && *dropout != 0) unsupported("a BPE with dropout");
        for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
            if (!textAt(model, key).empty()) unsupported(fmt::format("a BPE with \"{}\"", key));
        }
    }

    bool isNfc(const json& normalizer, int depth) const {
        const std::string type = textAt(normalizer, "type");
        if (type == "NFC") return true;
        const json* members = valueAt(normalizer, "normalizers");
        if (type != "Sequence" || members == nullptr || !members->is_array() || depth == 1) {
            unsupported(fmt::format("the normalizer {}", type.empty() ? "of no type" : type));
        }
        bool nfc = false;
        for (const json& member : *members)
            nfc |= isNfc(member, depth + 1);
        return nfc;
    }

    std::int32_t idFrom(const json* value, const std::string& token) const {
        if (value == nullptr || !value->is_number_integer() || *value < 0 || *value > kMaxTokenId) {
            refuse(fmt::format("gives the token \"{}\" no usable id", token));
        }
        return value->get<std::int32_t>();
    }

    void setBytes(TokenizerFile& result, std::int32_t id, const std::string& token, std::string bytes) const {
        const auto index = static_cast<std::size_t>(id);
        if (index >= result.bytes.size()) result.bytes.resize(index + 1);
        if (result.bytes[index].has_value()) refuse(fmt::format("gives the id {} to two tokens (\"{}\")", id, token));
        result.bytes[index] = std::move(bytes);
    }

    void readVocabulary(const json& model, TokenizerFile& result) {
        const json* vocabulary = valueAt(model, "vocab");
        if (vocabulary == nullptr || !vocabulary->is_object()) refuse("has no vocabulary");
        m_ids.reserve(vocabulary->size());
        for (const auto& [token, value] : vocabulary->items()) {
            const std::int32_t id = idFrom(&value, token);
            m_ids.emplace(token, id);
            std::optional<std::string> bytes = bytesOfToken(token);
            if (bytes) result.bpe.addToken(*bytes, id);
            setBytes(result, id, token, std::move(bytes).value_or(token));
        }
    }

    std::int32_t tokenOf(const std::string& left, const std::string& right, const std::string& which) const {
        const auto found = m_ids.find(which);
        if (found == m_ids.end()) {
            refuse(fmt::format("merges \"{}\" and \"{}\" but its vocabulary has no \"{}\"", left, right, which));
        }
        return found->second;
    }

    /// A merge as "left right" or ["left", "right"].
    std::pair<std::string, std::string> pairOf(const json& merge, std::size_t index) const {
        if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
            return {merge[0].get<std::string>(), merge[1].get<std::string>()};
        }
        if (merge.is_string()) {
            const auto& text = merge.get_ref<const std::string&>();
            const std::size_t space = text.find(' ');
            if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
                return {text.substr(0, space), text.substr(space + 1)};
            }
        }
        refuse(fmt::format("has a merge (number {}) that is not two tokens", index));
    }

    void readMerges(const json& model, Bpe& bpe) const {
        const json* merges = valueAt(model, "merges");
        if (merges == nullptr || !merges->is_array()) refuse("has no merges");
        std::size_t index = 0;
        for (const json& merge : *merges) {
            const auto [left, right] = pairOf(merge, index++);
            bpe.addMerge(tokenOf(left, right, left), tokenOf(left, right, right), tokenOf(left, right, left + right));
        }
    }

    void readAddedTokens(TokenizerFile& result) const {
        const json* added = valueAt(m_root, "added_tokens");
        if (added == nullptr) return;
        if (!added->is_array()) refuse("has added tokens that are not a list");
        std::vector<AddedToken> raw;
        std::vector<AddedToken> normalized;
        for (const json& entry : *added) {
            AddedToken token;
            token.content = textAt(entry, "content");
            token.singleWord = flagAt(entry, "single_word", false);
            token.stripLeft = flagAt(entry, "lstrip", false);
            token.stripRight = flagAt(entry, "rstrip", false);
            // A token that the vocabulary has keeps the vocabulary's id, whatever the list says.
            const auto known = m_ids.find(token.content);
            token.id = known != m_ids.end() ? known->second : idFrom(valueAt(entry, "id"), token.content);
            if (known == m_ids.end()) setBytes(result, token.id, token.content, token.content);
            const bool isNormalized = flagAt(entry, "normalized", false);
            if (isNormalized && result.nfc) token.content = toNfc(token.content);
            (isNormalized ? normalized : raw).push_back(std::move(token));
        }
        result.rawTokens = AddedTokens(std::move(raw));
        result.normalizedTokens = AddedTokens(std::move(normalized));
    }

    /// UTF-8 never has the bytes C0, C1 and F5 to FF; every other one must have a token, or text could not be encoded.
    void checkAlphabet(const Bpe& bpe) const {
        for (unsigned int byte = 0; byte < 0xF5; ++byte) {
            if (byte == 0xC0 || byte == 0xC1) continue;
            if (bpe.byteToken(static_cast<unsigned char>(byte)) == Bpe::kNone) {
                refuse(fmt::format("has no token for the byte 0x{:02X}, so it is not a byte-level vocabulary", byte));
            }
        }
    }

    const json& m_root;
    const std::string& m_file;
    std::unordered_map<std::string_view, std::int32_t> m_ids;  ///< of the vocabulary; its keys live in m_root
};

}  // namespace

TokenizerFile parseTokenizerFile(std::string_view text, const std::string& file) {
    const json root = parseJsonObject(text, file);
    return TokenizerReader(root, file).read();
}

TokenizerSettings parseTokenizerSettings(std::string_view text, const std::string& file) {
    const json root = parseJsonObject(text, file);
    // A token is written as its content, or as an object that has it.
    const auto contentOf = [&](const char* key) {
        const json* value = valueAt(root, key);
        if (value == nullptr) return std::string();
        return value->is_object() ? textAt(*value, "content") : textAt(root, key);
    };
    return {flagAt(root, "add_bos_token", false), contentOf("bos_token"), contentOf("eos_token")};
}

}  // namespace expertscope
