// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/safetensors_header.h"

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/model/utf8.h"

namespace expertscope {

namespace {

[[noreturn]] void refuse(const std::string& file, const char* errorName, const std::string& what) {
    throw BadInputError(fmt::format("{} is not a usable safetensors file: {}; download it again", file, what),
                        errorName);
}

struct DataType {
    std::string_view name;
    std::uint64_t bits;
};

constexpr std::array kDataTypes = {
    DataType{"BOOL", 8},        DataType{"F4", 4},   DataType{"F6_E2M3", 6},     DataType{"F6_E3M2", 6},
    DataType{"U8", 8},          DataType{"I8", 8},   DataType{"F8_E5M2", 8},     DataType{"F8_E4M3", 8},
    DataType{"F8_E8M0", 8},     DataType{"I16", 16}, DataType{"F8_E4M3FNUZ", 8}, DataType{"U16", 16},
    DataType{"F8_E5M2FNUZ", 8}, DataType{"F16", 16}, DataType{"BF16", 16},       DataType{"I32", 32},
    DataType{"U32", 32},        DataType{"F32", 32}, DataType{"C64", 64},        DataType{"F64", 64},
    DataType{"I64", 64},        DataType{"U64", 64}};

const DataType* findDataType(std::string_view name) {
    const auto* const found =
        std::find_if(kDataTypes.begin(), kDataTypes.end(), [&](const DataType& type) { return type.name == name; });
    return found == kDataTypes.end() ? nullptr : found;
}

ElementType elementType(std::string_view name) {
    if (name == "F32") return ElementType::F32;
    if (name == "F16") return ElementType::F16;
    if (name == "BF16") return ElementType::BF16;
    return ElementType::Other;
}

/// A tensor as the header declares it; sizes are unchecked.
struct Entry {
    std::string name;
    std::string dtype;
    std::vector<std::uint64_t> shape;
    std::vector<std::uint64_t> offsets;
};

/// Builds the entries while the JSON is read, so that a hostile header of 100 MB costs little more memory than itself.
/// Values of unknown keys inside a tensor's object are skipped at any depth, as the reference reader does.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
public:
    std::vector<Entry> entries;
    std::string problem;

    bool null() override {
        if (m_place == Place::Root && m_key == "__metadata__") return true;
        return scalar("null");
    }
    bool boolean(bool) override { return scalar("a truth value"); }
    bool number_integer(number_integer_t) override { return scalar("a negative number"); }
    bool number_float(number_float_t, const string_t&) override { return scalar("a number that is no size"); }
    bool binary(binary_t&) override { return scalar("binary data"); }

    bool number_unsigned(number_unsigned_t value) override {
        if (m_place != Place::Shape && m_place != Place::Offsets) return scalar("a number");
        (m_place == Place::Shape ? entries.back().shape : entries.back().offsets).push_back(value);
        return true;
    }

    bool string(string_t& value) override {
        if (m_place == Place::Metadata) return true;
        if (m_place == Place::Tensor && m_key == "dtype") {
            entries.back().dtype = value;
            return true;
        }
        return scalar("a string");
    }

    bool key(string_t& name) override {
        m_key = name;
        if (m_place == Place::Skipped) return true;
        std::set<std::string>& seen = m_place == Place::Root ? m_rootKeys : m_innerKeys;
        if (!seen.insert(name).second) return fail(fmt::format("the key \"{}\" stands twice", name));
        return true;
    }

    bool start_object(std::size_t) override {
        switch (m_place) {
            case Place::Before:
                m_place = Place::Root;
                return true;
            case Place::Root:
                m_innerKeys.clear();
                m_place = m_key == "__metadata__" ? Place::Metadata : Place::Tensor;
                if (m_place == Place::Tensor) entries.push_back({m_key, {}, {}, {}});
                return true;
            default:
                return open("an object");
        }
    }

    bool end_object() override {
        switch (m_place) {
            case Place::Tensor:
                m_place = Place::Root;
                return checkComplete();
            case Place::Metadata:
                m_place = Place::Root;
                return true;
            case Place::Skipped:
                close();
                return true;
            default:
                return true;
        }
    }

    bool start_array(std::size_t) override {
        if (m_place == Place::Tensor && m_key == "shape") return enter(Place::Shape);
        if (m_place == Place::Tensor && m_key == "data_offsets") return enter(Place::Offsets);
        return open("an array");
    }

    bool end_array() override {
        if (m_place == Place::Skipped) {
            close();
        } else {
            m_place = Place::Tensor;
        }
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
        return fail(fmt::format("its header is not JSON at byte {}", position));
    }

private:
    enum class Place { Before, Root, Metadata, Tensor, Shape, Offsets, Skipped };

    bool fail(const std::string& what) {
        if (problem.empty()) problem = what;
        return false;
    }

    std::string where() const {
        if (m_place == Place::Before) return "its header";
        if (m_place == Place::Root || m_place == Place::Metadata) return fmt::format("\"{}\" of its header", m_key);
        return fmt::format("\"{}\" of tensor \"{}\"", m_key, entries.back().name);
    }

    bool known() const { return m_key == "dtype" || m_key == "shape" || m_key == "data_offsets"; }

    bool scalar(const char* kind) {
        if (m_place == Place::Skipped || (m_place == Place::Tensor && !known())) return true;
        return fail(fmt::format("{} holds {}", where(), kind));
    }

    bool enter(Place place) {
        m_place = place;
        return true;
    }

    bool open(const char* kind) {
        if (m_place == Place::Skipped || (m_place == Place::Tensor && !known())) {
            ++m_skipDepth;
            return enter(Place::Skipped);
        }
        return fail(fmt::format("{} holds {}", where(), kind));
    }

    void close() {
        if (--m_skipDepth == 0) m_place = Place::Tensor;
    }

    bool checkComplete() {
        const Entry& entry = entries.back();
        for (const char* needed : {"dtype", "shape", "data_offsets"}) {
            if (!m_innerKeys.contains(needed)) {
                return fail(fmt::format("tensor \"{}\" lacks \"{}\"", entry.name, needed));
            }
        }
        if (entry.offsets.size() != 2) {
            return fail(fmt::format("tensor \"{}\" has {} data offsets, not 2", entry.name, entry.offsets.size()));
        }
        if (findDataType(entry.dtype) == nullptr) {
            return fail(fmt::format("tensor \"{}\" has the unknown type \"{}\"", entry.name, entry.dtype));
        }
        return true;
    }

    Place m_place = Place::Before;
    std::string m_key;
    std::set<std::string> m_rootKeys, m_innerKeys;
    int m_skipDepth = 0;
};

std::vector<Entry> readEntries(std::string_view header, const std::string& file) {
    if (const auto bad = findInvalidUtf8(header)) {
        refuse(file, "InvalidHeader", fmt::format("its header is not UTF-8 at byte {}", *bad));
    }
    // The JSON library takes a NUL for the end of the text and skips a byte order mark: neither is JSON.
    const std::size_t first = header.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos || header[first] != '{' || header.find('\0') != std::string_view::npos) {
        refuse(file, "InvalidHeaderDeserialization", "its header is not a JSON object");
    }
    HeaderReader reader;
    if (!nlohmann::json::sax_parse(header.begin(), header.end(), &reader)) {
        refuse(file, "InvalidHeaderDeserialization", reader.problem);
    }
    return std::move(reader.entries);
}

std::string shapeText(const std::vector<std::uint64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

/// Bits of the whole tensor; refuses what 64 bits cannot hold.
std::uint64_t sizeInBits(const Entry& entry, const std::string& file) {
    std::uint64_t bits = 1;
    bool overflow = false;
    for (const std::uint64_t dimension : entry.shape) {
        overflow |= dimension > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
        overflow |= __builtin_mul_overflow(bits, dimension, &bits);
    }
    overflow |= __builtin_mul_overflow(bits, findDataType(entry.dtype)->bits, &bits);
    if (overflow) {
        refuse(file, "ValidationOverflow",
               fmt::format("the shape {} of tensor \"{}\" is too large", shapeText(entry.shape), entry.name));
    }
    return bits;
}

/// Checks that `entry` begins at `start`, and that its bytes are what its shape needs.
void checkEntry(const Entry& entry, std::uint64_t start, const std::string& file) {
    const std::uint64_t begin = entry.offsets[0];
    const std::uint64_t end = entry.offsets[1];
    if (begin != start || end < begin) {
        refuse(
            file, "InvalidOffset",
            fmt::format("tensor \"{}\" lies at bytes {} to {} where byte {} is next", entry.name, begin, end, start));
    }
    const std::uint64_t bits = sizeInBits(entry, file);
    if (bits % 8 != 0) {
        refuse(file, "MisalignedSlice",
               fmt::format("tensor \"{}\" of type {} ends within a byte", entry.name, entry.dtype));
    }
    if (end - begin != bits / 8) {
        refuse(file, "TensorInvalidInfo",
               fmt::format("tensor \"{}\" of type {} and shape {} needs {} bytes but has {}", entry.name, entry.dtype,
                           shapeText(entry.shape), bits / 8, end - begin));
    }
}

}  // namespace

std::vector<TensorInfo> parseSafetensorsHeader(std::string_view header, std::int64_t dataBytes,
                                               const std::string& fileName) {
    std::vector<Entry> entries = readEntries(header, fileName);
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.offsets < b.offsets; });
    std::uint64_t end = 0;
    for (const Entry& entry : entries) {
        checkEntry(entry, end, fileName);
        end = entry.offsets[1];
    }
    if (end != static_cast<std::uint64_t>(dataBytes)) {
        refuse(fileName, "MetadataIncompleteBuffer",
               fmt::format("its tensors need {} bytes of data but it has {}", end, dataBytes));
    }
    std::vector<TensorInfo> tensors;
    tensors.reserve(entries.size());
    for (Entry& entry : entries) {
        TensorInfo info;
        info.name = std::move(entry.name);
        info.type = elementType(entry.dtype);
        info.typeName = std::move(entry.dtype);
        info.shape.assign(entry.shape.begin(), entry.shape.end());
        info.offset = static_cast<std::int64_t>(entry.offsets[0]);
        info.bytes = static_cast<std::int64_t>(entry.offsets[1] - entry.offsets[0]);
        tensors.push_back(std::move(info));
    }
    return tensors;
}

}  // namespace expertscope
