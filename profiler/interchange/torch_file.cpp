// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/torch_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <fstream>
#include <limits>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/interchange/little_endian.h"

namespace expertscope {
namespace {

constexpr std::int64_t kLargestPickle = std::int64_t{1} << 30;
constexpr std::int64_t kLargestStorage = std::int64_t{1} << 33;

std::size_t widthOf(TensorType type) {
    switch (type) {
        case TensorType::Int8:
        case TensorType::Uint8:
        case TensorType::Bool:
            return 1;
        case TensorType::Int16:
        case TensorType::Float16:
        case TensorType::BFloat16:
            return 2;
        case TensorType::Int32:
        case TensorType::Float32:
            return 4;
        case TensorType::Int64:
        case TensorType::Float64:
            return 8;
    }
    return 0;
}

bool isReal(TensorType type) {
    return type == TensorType::Float16 || type == TensorType::BFloat16 || type == TensorType::Float32 ||
           type == TensorType::Float64;
}

double halfValue(std::uint64_t bits) {
    const auto exponent = static_cast<int>(bits >> 10U & 31U);
    const auto fraction = static_cast<double>(bits & 1023U);
    const double sign = (bits >> 15U) != 0 ? -1.0 : 1.0;
    if (exponent == 31) return std::numeric_limits<double>::quiet_NaN();  // infinite ones are no counts either
    return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024.0 + fraction, exponent - 25));
}

double realAt(std::uint64_t raw, TensorType type) {
    if (type == TensorType::Float16) return halfValue(raw);
    if (type == TensorType::Float64) return std::bit_cast<double>(raw);
    return std::bit_cast<float>(static_cast<std::uint32_t>(type == TensorType::BFloat16 ? raw << 16U : raw));
}

/// The value of a whole number of any type; nothing where it has a fraction or more than 53 bits.
std::optional<std::int64_t> valueAt(std::string_view bytes, std::size_t at, TensorType type) {
    const std::size_t width = widthOf(type);
    const std::uint64_t raw = littleEndian(bytes, at, width);
    if (isReal(type)) {
        const double value = realAt(raw, type);
        if (!(std::abs(value) <= 9007199254740992.0) || value != std::trunc(value)) return std::nullopt;
        return static_cast<std::int64_t>(value);
    }
    if (type == TensorType::Uint8 || type == TensorType::Bool) return static_cast<std::int64_t>(raw);
    const std::size_t unused = 64 - 8 * width;
    return static_cast<std::int64_t>(raw << unused) >> unused;
}

std::string readAll(std::istream& in, std::int64_t size) {
    std::string bytes(static_cast<std::size_t>(size), '\0');
    in.read(bytes.data(), size);
    bytes.resize(static_cast<std::size_t>(in.gcount()));
    in.peek();  // at the end the checksum is compared
    return bytes;
}

/// How the first of the pickles that torch.save wrote before its files were ZIPs ends: a number of its own.
constexpr std::string_view kSequenceMark("\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.", 13);

/// Where that pickle ends; 0 where the bytes begin with another.
std::size_t endOfMark(std::string_view head) {
    const std::size_t mark = head.substr(0, 32).find(kSequenceMark);
    return head.starts_with('\x80') && mark != std::string_view::npos ? mark + kSequenceMark.size() : 0;
}

}  // namespace

bool isTorchFile(std::string_view head) {
    return (beginsAsZip(head) && head.find("/data.pkl") != std::string_view::npos) || endOfMark(head) != 0;
}

TorchFile::TorchFile(const std::filesystem::path& file) : m_file(file) {
    std::string head(64, '\0');
    std::ifstream in(file, std::ios::binary);
    in.read(head.data(), static_cast<std::streamsize>(head.size()));
    if (endOfMark(head) != 0)
        openSequence();
    else
        openZip();
}

void TorchFile::openZip() {
    m_zip.emplace(m_file);
    const auto pickle =
        std::ranges::find_if(m_zip->entries(), [](const ZipEntry& entry) { return entry.name.ends_with("/data.pkl"); });
    if (pickle == m_zip->entries().end()) refuse("holds no data.pkl, so it is no file of torch.save");
    m_root = pickle->name.substr(0, pickle->name.size() - std::string_view("data.pkl").size());
    if (pickle->size > kLargestPickle) refuse(fmt::format("has a pickle of {} bytes", pickle->size));
    if (const ZipEntry* order = m_zip->find(m_root + "byteorder"); order && order->size < 64) {
        if (readAll(*m_zip->open(*order), order->size) != "little") refuse("was saved on a big-endian machine");
    }
    const std::string bytes = readAll(*m_zip->open(*pickle), pickle->size);
    m_pickle = std::make_unique<Unpickled>(bytes, m_file.string());
}

void TorchFile::openSequence() {
    const auto size = static_cast<std::int64_t>(std::filesystem::file_size(m_file));
    if (size > kLargestPickle) refuse(fmt::format("has {} bytes in the format of before PyTorch 1.6", size));
    std::ifstream in(m_file, std::ios::binary);
    m_whole = readAll(in, size);
    std::size_t at = endOfMark(m_whole);
    const auto next = [&] {
        auto pickle = std::make_unique<Unpickled>(std::string_view(m_whole).substr(at), m_file.string());
        at += pickle->size();
        return pickle;
    };
    next();  // the version of the format: there was one
    const std::unique_ptr<Unpickled> machine = next();
    if (const PickleNode* order = machine->root().find("little_endian"); order && order->integer == 0)
        refuse("was saved on a big-endian machine");
    m_pickle = next();
    const std::unique_ptr<Unpickled> numbers = next();
    for (const PickleNode* number : numbers->root().items) {
        const auto type = m_pickle->storages().find(number->text);
        if (type == m_pickle->storages().end()) refuse("lists a storage that no tensor has");
        if (m_whole.size() - at < 8) refuse("ends before its storages do");
        const std::uint64_t values = littleEndian(m_whole, at, 8);
        at += 8;
        const std::size_t width = widthOf(type->second);
        if (values > (m_whole.size() - at) / width) refuse("ends before its storages do");
        m_storageAt[number->text] = {at, static_cast<std::size_t>(values) * width};
        at += static_cast<std::size_t>(values) * width;
    }
}

void TorchFile::refuse(const std::string& what) const {
    throw BadInputError(fmt::format("{} {}: save or copy the file again.", m_file.string(), what));
}

std::string_view TorchFile::storage(const PickledTensor& tensor) {
    const std::string& number = tensor.storage;
    if (!m_zip) {
        const auto part = m_storageAt.find(number);
        if (part == m_storageAt.end()) refuse(fmt::format("lacks the storage {} of a tensor", number));
        return std::string_view(m_whole).substr(part->second.offset, part->second.size);
    }
    if (m_hasStorage && m_storageNumber == number) return m_storage;
    const ZipEntry* entry = m_zip->find(m_root + "data/" + number);
    if (!entry) refuse(fmt::format("lacks the storage {} of a tensor", number));
    if (entry->size > kLargestStorage) refuse(fmt::format("has a storage of {} bytes", entry->size));
    m_storage = readAll(*m_zip->open(*entry), entry->size);
    if (static_cast<std::int64_t>(m_storage.size()) != entry->size)
        refuse(fmt::format("has a storage {} that is cut off", number));
    m_storageNumber = number;
    m_hasStorage = true;
    return m_storage;
}

std::vector<std::int64_t> TorchFile::integers(const PickledTensor& tensor) {
    const std::size_t width = widthOf(tensor.type);
    const std::string_view bytes = storage(tensor);
    const auto stored = static_cast<std::int64_t>(bytes.size() / width);
    if (tensor.offset > stored) refuse("has a tensor that begins beyond its storage");
    std::int64_t count = 1, last = tensor.offset;
    for (std::size_t d = 0; d < tensor.shape.size(); ++d) {
        const std::int64_t length = tensor.shape[d], stride = tensor.strides[d];
        if (length == 0) return {};
        // No tensor of a dump repeats values by a stride of 0, which could make anything of a few bytes.
        if (count > stored / length || (stride > 0 && length - 1 > stored / stride))
            refuse("has a tensor that is larger than its storage");
        count *= length;
        last += (length - 1) * stride;
    }
    if (last >= stored) refuse("has a tensor that is larger than its storage");
    std::vector<std::int64_t> values;
    values.reserve(static_cast<std::size_t>(count));
    std::vector<std::int64_t> index(tensor.shape.size(), 0);
    std::int64_t at = tensor.offset;
    for (std::int64_t i = 0; i < count; ++i) {
        const std::optional<std::int64_t> value = valueAt(bytes, static_cast<std::size_t>(at) * width, tensor.type);
        if (!value) refuse("has a tensor of fractions where whole numbers belong");
        values.push_back(*value);
        for (std::size_t d = index.size(); d-- > 0;) {
            at += tensor.strides[d];
            if (++index[d] < tensor.shape[d]) break;
            at -= tensor.strides[d] * tensor.shape[d];
            index[d] = 0;
        }
    }
    return values;
}

namespace {

/// Writes pickle opcodes of protocol 2.
class PickleText {
public:
    std::string bytes{"\x80\x02", 2};

    void text(std::string_view value) {
        bytes += 'X';
        appendLittleEndian(bytes, value.size(), 4);
        bytes += value;
    }
    void integer(std::int64_t value) {
        bytes += "\x8a\x08";
        appendLittleEndian(bytes, static_cast<std::uint64_t>(value), 8);
    }
    void global(std::string_view module, std::string_view name) { bytes += fmt::format("c{}\n{}\n", module, name); }
    void tuple(const std::vector<std::int64_t>& values) {
        bytes += '(';
        for (const std::int64_t value : values)
            integer(value);
        bytes += 't';
    }
};

void putTensor(PickleText& pickle, const SavedTensor& tensor, std::size_t number) {
    pickle.global("torch._utils", "_rebuild_tensor_v2");
    pickle.bytes += "((";
    pickle.text("storage");
    pickle.global("torch", tensor.storage);
    pickle.text(fmt::format("{}", number));
    pickle.text("cpu");
    pickle.integer(tensor.values);
    pickle.bytes += "tQ";
    pickle.integer(0);
    pickle.tuple(tensor.shape);
    std::vector<std::int64_t> strides(tensor.shape.size(), 1);
    for (std::size_t d = strides.size(); d-- > 1;)
        strides[d - 1] = strides[d] * tensor.shape[d];
    pickle.tuple(strides);
    pickle.bytes += '\x89';  // needs no gradient
    pickle.global("collections", "OrderedDict");
    pickle.bytes += ")RtR";
}

}  // namespace

void writeTorchFile(const std::filesystem::path& file, std::span<const SavedTensor> tensors,
                    const std::map<std::string, std::int64_t>& numbers) {
    PickleText pickle;
    pickle.bytes += "}(";
    for (const auto& [key, value] : numbers) {
        pickle.text(key);
        pickle.integer(value);
    }
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        pickle.text(tensors[i].key);
        putTensor(pickle, tensors[i], i);
    }
    pickle.bytes += "u.";
    ZipWriter zip(file);
    const auto put = [&](const std::string& name, std::string_view bytes) {
        zip.begin("archive/" + name, true, 64);
        zip.write(bytes);
        zip.end();
    };
    put("data.pkl", pickle.bytes);
    put("byteorder", "little");
    for (std::size_t i = 0; i < tensors.size(); ++i)
        put(fmt::format("data/{}", i), tensors[i].bytes);
    put("version", "3\n");
    zip.close();
}

}  // namespace expertscope
