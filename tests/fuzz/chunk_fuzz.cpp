// SPDX-License-Identifier: GPL-3.0-or-later
// Chunks of the session file: byte 0 is the kind, byte 1 the encoding, bytes 2 and 3 the number of records.
#include <cstdlib>
#include <optional>

#include "storage/chunk_codec.h"
#include "tests/fuzz/fuzz_target.h"

namespace expertscope {
namespace {

constexpr std::size_t kHead = 4;

/// Both ways to read a chunk must accept the same bytes, and what was read must be written and read as the same.
template <class Record>
std::string encoded(const std::vector<Record>& records) {
    ChunkEncoder<Record> encoder;
    encoder.add(records);
    return encoder.take().bytes;
}

template <class Record>
void look(std::int64_t encoding, std::int64_t count, std::string_view bytes) {
    const ChunkLayout layout = chunkLayout<Record>();
    std::vector<Record> records;
    std::vector<std::vector<std::int64_t>> columns(static_cast<std::size_t>(layout.columns)), some = columns;
    bool accepted = true, alsoAccepted = true, someAccepted = true;
    try {
        decodeChunk<Record>(encoding, count, bytes, records);
    } catch (const DamagedChunk&) { accepted = false; }
    try {
        decodeColumns(layout, encoding, count, bytes, ~std::uint32_t{0}, columns);
    } catch (const DamagedChunk&) { alsoAccepted = false; }
    try {
        decodeColumns(layout, encoding, count, bytes, 1U << 2, some);
    } catch (const DamagedChunk&) { someAccepted = false; }
    if (accepted != alsoAccepted || accepted != someAccepted) std::abort();
    if (!accepted) return;
    if (some[2] != columns[2]) std::abort();
    const std::string written = encoded<Record>(records);
    std::vector<Record> again;
    decodeChunk<Record>(kEncodingBlocks, count, written, again);
    if (encoded<Record>(again) != written) std::abort();
}

template <class Record>
std::string seed(char kind) {
    const std::string bytes = encoded<Record>(std::vector<Record>(200));
    return std::string{kind, 3, static_cast<char>(200), 0} + bytes;
}

}  // namespace
}  // namespace expertscope

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace expertscope;
    if (size < kHead) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + kHead, size - kHead);
    const std::int64_t encoding = data[1], count = data[2] + 256 * data[3];
    switch (data[0] % 6) {
        case 0:
            look<SpanRecord>(encoding, count, bytes);
            break;
        case 1:
            look<SelectionRecord>(encoding, count, bytes);
            break;
        case 2:
            look<PredictionRecord>(encoding, count, bytes);
            break;
        case 3:
            look<ResidencyRecord>(encoding, count, bytes);
            break;
        case 4:
            look<TransferRecord>(encoding, count, bytes);
            break;
        default:
            look<RangeRecord>(encoding, count, bytes);
            break;
    }
    return 0;
}

namespace expertscope::test {

FuzzSeeds fuzzSeeds() {
    // Two spans of format version 1: eight columns of one byte a value.
    std::string old{0, 1, 2, 0};
    for (char column = 0; column < 8; ++column)
        old += std::string{1, column, 0, 0, 0, 0, 0, 0, 0, 5, 9};
    return {{seed<SpanRecord>(0), seed<SelectionRecord>(1), seed<PredictionRecord>(2), seed<ResidencyRecord>(3),
             seed<TransferRecord>(4), seed<RangeRecord>(5), old},
            {std::string(8, '\0'), std::string(8, '\xff'), "\x01", "\x40", "\x38", "\x39", "\x80", "\x80\x80\x80\x80",
             std::string(16, '\x7f'), std::string(130, '\0')}};
}

}  // namespace expertscope::test
