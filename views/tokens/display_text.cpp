// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <string>

#include "views/tokens/token_text_model.h"

namespace expertscope {

namespace {

/// Length of the UTF-8 character that starts with `lead`; 1 for a byte that starts none.
std::size_t characterLength(unsigned char lead) {
    if (lead >= 0xC2 && lead < 0xE0) return 2;
    if (lead >= 0xE0 && lead < 0xF0) return 3;
    if (lead >= 0xF0 && lead < 0xF5) return 4;
    return 1;
}

QString shown(const std::string& bytes) {
    if (bytes.size() == 1) {
        const auto byte = static_cast<unsigned char>(bytes[0]);
        if (byte == '\n') return QStringLiteral("⏎\n");
        if (byte == '\t') return QStringLiteral("⇥");
        if (byte >= 0x80) return QString(QChar(QChar::ReplacementCharacter));
        if (byte < 0x20 || byte == 0x7F) return QStringLiteral("\\x%1").arg(byte, 2, 16, QLatin1Char('0'));
    }
    return QString::fromUtf8(bytes.data(), static_cast<qsizetype>(bytes.size()));
}

}  // namespace

std::vector<QString> displayTexts(std::span<const TokenRecord> tokens) {
    std::vector<QString> texts(tokens.size());
    // The character being put together, the bytes it needs, and the token that holds its first byte.
    std::string character;
    std::size_t needed = 0, owner = 0;
    const auto flush = [&](bool complete) {
        if (character.empty()) return;
        texts[owner] += complete ? shown(character) : QString(QChar(QChar::ReplacementCharacter));
        character.clear();
    };
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (i > 0 && tokens[i].request != tokens[i - 1].request) flush(false);
        for (const char c : tokens[i].bytes) {
            const bool continues = (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
            if (!continues) flush(false);
            if (character.empty()) {
                owner = i;
                needed = characterLength(static_cast<unsigned char>(c));
            }
            character += c;
            if (character.size() == needed) flush(true);
        }
    }
    flush(false);
    for (std::size_t i = 0; i < tokens.size(); ++i)
        if (texts[i].isEmpty()) texts[i] = QStringLiteral("·");
    return texts;
}

}  // namespace expertscope
