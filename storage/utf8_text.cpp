// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/utf8_text.h"

#include <cstddef>

namespace expertscope {
namespace {

/// Of the sequence that starts with `lead`: how many bytes follow, and the range of the first of them (Unicode 15,
/// table 3-7). -1 where no sequence starts so.
struct Sequence {
    int following = -1;
    unsigned char least = 0x80, most = 0xbf;
};

Sequence sequenceOf(unsigned char lead) {
    if (lead >= 0x01 && lead <= 0x7f) return {0};
    if (lead >= 0xc2 && lead <= 0xdf) return {1};
    if (lead == 0xe0) return {2, 0xa0, 0xbf};
    if (lead == 0xed) return {2, 0x80, 0x9f};
    if (lead >= 0xe1 && lead <= 0xef) return {2};
    if (lead == 0xf0) return {3, 0x90, 0xbf};
    if (lead >= 0xf1 && lead <= 0xf3) return {3};
    if (lead == 0xf4) return {3, 0x80, 0x8f};
    return {};
}

}  // namespace

std::string replaceInvalidUtf8(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size());
    for (std::size_t at = 0; at < bytes.size();) {
        const Sequence sequence = sequenceOf(static_cast<unsigned char>(bytes[at]));
        std::size_t length = 1;
        int missing = sequence.following;
        while (missing > 0 && at + length < bytes.size()) {
            const auto next = static_cast<unsigned char>(bytes[at + length]);
            const bool first = length == 1;
            if (next < (first ? sequence.least : 0x80) || next > (first ? sequence.most : 0xbf)) break;
            ++length;
            --missing;
        }
        if (missing == 0) {
            text.append(bytes.substr(at, length));
        } else {
            text.append("\xEF\xBF\xBD");
        }
        at += length;
    }
    return text;
}

}  // namespace expertscope
