// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace expertscope {

/// The kinds of the elements of a tensor.
enum class TensorType { Int8, Uint8, Int16, Int32, Int64, Bool, Float16, BFloat16, Float32, Float64 };

/// A tensor as a pickle of PyTorch tells it: a view of a storage, whose bytes lie elsewhere.
struct PickledTensor {
    std::string storage;  ///< number of the storage, the name of its entry
    TensorType type = TensorType::Float32;
    std::int64_t offset = 0;                   ///< of the first value in the storage, in values
    std::vector<std::int64_t> shape, strides;  ///< strides in values
};

/// A value of a pickle. Nodes belong to their Unpickled.
struct PickleNode {
    enum class Kind { None, Bool, Integer, Real, Text, List, Tuple, Dictionary, Global, Storage, Tensor, Mark };
    Kind kind = Kind::None;
    std::int64_t integer = 0;  ///< also of Bool
    double real = 0;
    std::string text;                      ///< Text; of a Global "module.name"; of a Storage its number
    std::vector<const PickleNode*> items;  ///< List and Tuple; of a Dictionary key, value, key, value…
    PickledTensor tensor;                  ///< Tensor; of a Storage its type

    /// The value under a text key of a dictionary; nullptr where there is none.
    const PickleNode* find(std::string_view key) const;
    bool is(Kind wanted) const { return kind == wanted; }
};

/// Reads a pickle (protocols 0 to 5, as far as torch.save uses them) as data: nothing is called, imported or built but
/// lists, tuples, dictionaries, numbers, texts, OrderedDict and tensors. Any other class or function in it is refused
/// by its name, whatever the pickle meant to do with it.
///
/// It is the stack machine of Python's pickletools documentation; every opcode outside the allowed ones is refused too.
/// Time and memory are linear in the pickle's size.
class Unpickled {
public:
    /// Throws BadInputError naming `name` and the byte.
    Unpickled(std::string_view pickle, std::string name);
    const PickleNode& root() const { return *m_root; }
    /// Bytes of the pickle; more may follow it.
    std::size_t size() const { return m_size; }
    /// The storages that it refers to, by their numbers, with the type of their values.
    const std::map<std::string, TensorType>& storages() const { return m_storages; }

private:
    friend class PickleMachine;
    std::deque<PickleNode> m_nodes;
    const PickleNode* m_root = nullptr;
    std::size_t m_size = 0;
    std::map<std::string, TensorType> m_storages;
};

}  // namespace expertscope
