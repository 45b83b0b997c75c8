// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/torch_file.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/interchange/little_endian.h"

namespace expertscope {
namespace {

constexpr std::int64_t kLargestPickle = std::int64_t{1} << 30;
constexpr std::int64_t kLargestStorage = std::int64_t{1} << 33;

/// Bytes of a value of a whole-number type; 0 for others.
std::size_t widthOf(TensorType type) {
    switch (type) {
        case TensorType::Int8:
        case TensorType::Uint8:
        case TensorType::Bool:
            return 1;
        case TensorType::Int16:
            return 2;
        case TensorType::Int32:
            return 4;
        case TensorType::Int64:
            return 8;
        default:
            return 0;
    }
}

std::int64_t valueAt(std::string_view bytes, std::size_t at, TensorType type) {
    const std::size_t width = widthOf(type);
    const std::uint64_t raw = littleEndian(bytes, at, width);
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

}  // namespace

bool isTorchFile(std::string_view head) {
    return beginsAsZip(head) && head.find("/data.pkl") != std::string_view::npos;
}

TorchFile::TorchFile(const std::filesystem::path& file) : m_file(file), m_zip(file) {
    const auto pickle =
        std::ranges::find_if(m_zip.entries(), [](const ZipEntry& entry) { return entry.name.ends_with("/data.pkl"); });
    if (pickle == m_zip.entries().end()) refuse("holds no data.pkl, so it is no file of torch.save");
    m_root = pickle->name.substr(0, pickle->name.size() - std::string_view("data.pkl").size());
    if (pickle->size > kLargestPickle) refuse(fmt::format("has a pickle of {} bytes", pickle->size));
    if (const ZipEntry* order = m_zip.find(m_root + "byteorder"); order && order->size < 64) {
        if (readAll(*m_zip.open(*order), order->size) != "little") refuse("was saved on a big-endian machine");
    }
    const std::string bytes = readAll(*m_zip.open(*pickle), pickle->size);
    m_pickle = std::make_unique<Unpickled>(bytes, m_file.string());
}

void TorchFile::refuse(const std::string& what) const {
    throw BadInputError(fmt::format("{} {}: save or copy the file again.", m_file.string(), what));
}

const std::string& TorchFile::storage(const std::string& number) {
    if (m_hasStorage && m_storageNumber == number) return m_storage;
    const ZipEntry* entry = m_zip.find(m_root + "data/" + number);
    if (!entry) refuse(fmt::format("lacks the storage {} of a tensor", number));
    if (entry->size > kLargestStorage) refuse(fmt::format("has a storage of {} bytes", entry->size));
    m_storage = readAll(*m_zip.open(*entry), entry->size);
    if (static_cast<std::int64_t>(m_storage.size()) != entry->size)
        refuse(fmt::format("has a storage {} that is cut off", number));
    m_storageNumber = number;
    m_hasStorage = true;
    return m_storage;
}

std::vector<std::int64_t> TorchFile::integers(const PickledTensor& tensor) {
    const std::size_t width = widthOf(tensor.type);
    if (width == 0) refuse("has a tensor of fractions where whole numbers belong");
    const std::string& bytes = storage(tensor.storage);
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
        values.push_back(valueAt(bytes, static_cast<std::size_t>(at) * width, tensor.type));
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
