// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/tokenizer.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/model/input_file.h"
#include "engine/model/tokenizer_file.h"
#include "engine/model/utf8.h"

namespace expertscope {

namespace {

constexpr std::int64_t kMaxTokenizerBytes = 256 << 20;
constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;
/// Pieces are mostly words, which repeat; long ones do not, and would only fill the memory.
constexpr std::size_t kCachedPieces = 1 << 14;
constexpr std::size_t kCachedPieceBytes = 64;

}  // namespace

struct Tokenizer::Impl {
    explicit Impl(TokenizerFile&& parsed) : file(std::move(parsed)) {}

    TokenizerFile file;
    std::int32_t bos = -1;
    std::int32_t eos = -1;
    bool addBos = false;

    std::int32_t idOf(const std::string& content, const std::string& where) const;
    void encodeText(std::string_view text, std::vector<std::int32_t>& out);
    void encodePieces(std::string_view text, std::vector<std::int32_t>& out);
    void encodePiece(const std::string& piece, std::vector<std::int32_t>& out);

private:
    std::mutex m_mutex;  ///< of the cache
    std::unordered_map<std::string, std::vector<std::int32_t>> m_cache;
};

/// The id of a special token by its text; −1 for an empty text.
std::int32_t Tokenizer::Impl::idOf(const std::string& content, const std::string& where) const {
    if (content.empty()) return -1;
    const auto found = std::find(file.bytes.begin(), file.bytes.end(), content);
    if (found == file.bytes.end()) {
        throw BadInputError(
            fmt::format("{} names the token \"{}\", which tokenizer.json does not have; use the files "
                        "that belong to the model",
                        where, content));
    }
    return static_cast<std::int32_t>(found - file.bytes.begin());
}

void Tokenizer::Impl::encodeText(std::string_view text, std::vector<std::int32_t>& out) {
    for (const AddedTokens::Part& raw : file.rawTokens.split(text)) {
        if (raw.token != nullptr) {
            out.push_back(raw.token->id);
            continue;
        }
        const std::string normalized = file.nfc ? toNfc(raw.text) : std::string(raw.text);
        for (const AddedTokens::Part& part : file.normalizedTokens.split(normalized)) {
            if (part.token != nullptr) {
                out.push_back(part.token->id);
            } else {
                encodePieces(part.text, out);
            }
        }
    }
}

void Tokenizer::Impl::encodePieces(std::string_view text, std::vector<std::int32_t>& out) {
    for (const std::string& piece : file.preTokenizer.split(text)) {
        const std::int32_t whole = file.ignoreMerges ? file.bpe.find(piece) : Bpe::kNone;
        if (whole != Bpe::kNone) {
            out.push_back(whole);
        } else {
            encodePiece(piece, out);
        }
    }
}

void Tokenizer::Impl::encodePiece(const std::string& piece, std::vector<std::int32_t>& out) {
    if (piece.size() > kCachedPieceBytes) return file.bpe.encode(piece, out);
    const std::scoped_lock lock(m_mutex);
    const auto [entry, isNew] = m_cache.try_emplace(piece);
    if (isNew) file.bpe.encode(piece, entry->second);
    out.insert(out.end(), entry->second.begin(), entry->second.end());
    if (m_cache.size() > kCachedPieces) m_cache.clear();
}

Tokenizer::Tokenizer() = default;
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

bool Tokenizer::exists(const std::filesystem::path& folder) {
    std::error_code ignored;
    return std::filesystem::exists(folder / "tokenizer.json", ignored);
}

Tokenizer Tokenizer::load(const std::filesystem::path& folder) {
    const std::filesystem::path path = folder / "tokenizer.json";
    if (!exists(folder)) {
        throw BadInputError(
            fmt::format("{} has no tokenizer.json; copy the one that belongs to the model there, or "
                        "give token ids instead of text",
                        folder.string()));
    }
    Tokenizer tokenizer;
    tokenizer.m_impl =
        std::make_unique<Impl>(parseTokenizerFile(readWholeFile(path, kMaxTokenizerBytes), path.string()));
    const std::filesystem::path settingsPath = folder / "tokenizer_config.json";
    std::error_code ignored;
    if (std::filesystem::exists(settingsPath, ignored)) {
        const std::string name = settingsPath.string();
        const TokenizerSettings settings =
            parseTokenizerSettings(readWholeFile(settingsPath, kMaxTokenizerBytes), name);
        Impl& impl = *tokenizer.m_impl;
        impl.bos = impl.idOf(settings.bos, name);
        impl.eos = impl.idOf(settings.eos, name);
        impl.addBos = settings.addBos && impl.bos >= 0;
    }
    return tokenizer;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
    if (text.size() > kMaxTextBytes) throw BadInputError("The text has more than 1 GiB; shorten it");
    if (const auto bad = findInvalidUtf8(text)) {
        throw BadInputError(fmt::format("The text is not UTF-8 at byte {}; convert it to UTF-8", *bad));
    }
    std::vector<std::int32_t> ids;
    m_impl->encodeText(text, ids);
    return ids;
}

std::string_view Tokenizer::bytes(std::int32_t id) const {
    const auto& all = m_impl->file.bytes;
    if (id < 0 || static_cast<std::size_t>(id) >= all.size() || !all[static_cast<std::size_t>(id)]) {
        throw BadInputError(fmt::format("The tokenizer has no token {}; use ids from 0 to {} that tokenizer.json names",
                                        id, vocabularySize() - 1));
    }
    return *all[static_cast<std::size_t>(id)];
}

std::string Tokenizer::decode(const std::vector<std::int32_t>& ids) const {
    std::string text;
    for (const std::int32_t id : ids)
        text += bytes(id);
    return text;
}

std::int32_t Tokenizer::vocabularySize() const { return static_cast<std::int32_t>(m_impl->file.bytes.size()); }
std::int32_t Tokenizer::bosId() const { return m_impl->bos; }
std::int32_t Tokenizer::eosId() const { return m_impl->eos; }
bool Tokenizer::addBos() const { return m_impl->addBos; }

}  // namespace expertscope
