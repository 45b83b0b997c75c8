// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/pickle.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/interchange/little_endian.h"

namespace expertscope {

using Kind = PickleNode::Kind;

namespace {

constexpr std::string_view kOrderedDict = "collections.OrderedDict";
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";

constexpr std::pair<std::string_view, TensorType> kStorages[] = {
    {"torch.CharStorage", TensorType::Int8},     {"torch.ByteStorage", TensorType::Uint8},
    {"torch.ShortStorage", TensorType::Int16},   {"torch.IntStorage", TensorType::Int32},
    {"torch.LongStorage", TensorType::Int64},    {"torch.BoolStorage", TensorType::Bool},
    {"torch.HalfStorage", TensorType::Float16},  {"torch.BFloat16Storage", TensorType::BFloat16},
    {"torch.FloatStorage", TensorType::Float32}, {"torch.DoubleStorage", TensorType::Float64},
};

std::optional<TensorType> storageType(std::string_view global) {
    for (const auto& [name, type] : kStorages)
        if (name == global) return type;
    return std::nullopt;
}

}  // namespace

const PickleNode* PickleNode::find(std::string_view key) const {
    if (kind != Kind::Dictionary) return nullptr;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2)
        if (items[i]->kind == Kind::Text && items[i]->text == key) return items[i + 1];
    return nullptr;
}

/// Runs one pickle.
class PickleMachine {
public:
    PickleMachine(std::string_view pickle, std::string name, Unpickled& out)
        : m_pickle(pickle), m_name(std::move(name)), m_out(&out) {}

    const PickleNode* run() {
        for (;;) {
            const char op = take(1)[0];
            if (op == '.') break;
            step(op);
        }
        if (m_stack.size() != 1 || m_stack.back()->kind == Kind::Mark) refuse("ends with more or less than one value");
        m_out->m_size = m_at;
        return m_stack.back();
    }

private:
    [[noreturn]] void refuse(const std::string& what) const {
        throw BadInputError(
            fmt::format("{} {} (at byte {} of its pickle): save or copy the file again.", m_name, what, m_at));
    }
    std::string_view take(std::size_t size) {
        if (size > m_pickle.size() - m_at) refuse("ends too early");
        const std::string_view bytes = m_pickle.substr(m_at, size);
        m_at += size;
        return bytes;
    }
    std::uint64_t number(std::size_t size) { return littleEndian(take(size), 0, size); }
    std::string_view line() {
        const std::size_t end = m_pickle.find('\n', m_at);
        if (end == std::string_view::npos) refuse("ends too early");
        const std::string_view text = take(end - m_at);
        take(1);
        return text;
    }
    PickleNode& make(Kind kind) {
        PickleNode& node = m_out->m_nodes.emplace_back();
        node.kind = kind;
        return node;
    }
    PickleNode& push(Kind kind) {
        PickleNode& node = make(kind);
        m_stack.push_back(&node);
        return node;
    }
    void pushInteger(std::int64_t value) { push(Kind::Integer).integer = value; }
    void pushText(std::string_view text) { push(Kind::Text).text = text; }
    PickleNode* pop() {
        if (m_stack.empty() || m_stack.back()->kind == Kind::Mark) refuse("takes a value that is not there");
        PickleNode* node = m_stack.back();
        m_stack.pop_back();
        return node;
    }
    PickleNode& top(Kind kind, const char* what) {
        if (m_stack.empty() || m_stack.back()->kind != kind)
            refuse(fmt::format("adds to something that is no {}", what));
        return *m_stack.back();
    }
    /// The values above the last mark, which goes too.
    std::vector<const PickleNode*> popToMark() {
        std::vector<const PickleNode*> items;
        while (!m_stack.empty() && m_stack.back()->kind != Kind::Mark) {
            items.push_back(m_stack.back());
            m_stack.pop_back();
        }
        if (m_stack.empty()) refuse("has no mark where one belongs");
        m_stack.pop_back();
        std::ranges::reverse(items);
        return items;
    }
    void remember(std::uint64_t slot) {
        if (m_stack.empty()) refuse("remembers a value that is not there");
        m_memo[slot] = m_stack.back();
    }
    void recall(std::uint64_t slot) {
        const auto found = m_memo.find(slot);
        if (found == m_memo.end()) refuse("recalls a value that it never had");
        m_stack.push_back(found->second);
    }
    void tuple(std::size_t size) {
        std::vector<const PickleNode*> items(size);
        for (std::size_t i = size; i-- > 0;)
            items[i] = pop();
        push(Kind::Tuple).items = std::move(items);
    }

    void step(char op);
    bool stepNumber(char op);
    bool stepText(char op);
    bool stepContainer(char op);
    bool stepMemo(char op);
    void global(std::string_view module, std::string_view name);
    void persistent();
    void reduce();
    void rebuildTensor(const PickleNode& arguments);

    std::string_view m_pickle;
    std::string m_name;
    Unpickled* m_out;
    std::size_t m_at = 0;
    std::vector<PickleNode*> m_stack;
    std::unordered_map<std::uint64_t, PickleNode*> m_memo;
};

void PickleMachine::step(char op) {
    if (stepNumber(op) || stepText(op) || stepContainer(op) || stepMemo(op)) return;
    switch (op) {
        case '\x80':
            take(1);
            return;  // protocol
        case '\x95':
            take(8);
            return;  // frame
        case 'c': {
            const std::string_view module = line();
            return global(module, line());
        }
        case '\x93': {
            const PickleNode* name = pop();
            const PickleNode* module = pop();
            if (!name->is(Kind::Text) || !module->is(Kind::Text)) refuse("names a class that is no text");
            return global(module->text, name->text);
        }
        case 'Q':
            return persistent();
        case 'R':
            return reduce();
        case 'i': {  // an instance by the name of its class
            const std::string_view module = line();
            global(module, line());
            refuse("builds an object, which this program does not");
        }
        default:
            refuse(fmt::format("holds the operation 0x{:02x}, which data need not", static_cast<unsigned char>(op)));
    }
}

bool PickleMachine::stepNumber(char op) {
    switch (op) {
        case 'N':
            push(Kind::None);
            return true;
        case '\x88':
            push(Kind::Bool).integer = 1;
            return true;
        case '\x89':
            push(Kind::Bool).integer = 0;
            return true;
        case 'J':
            pushInteger(static_cast<std::int32_t>(number(4)));
            return true;
        case 'K':
            pushInteger(static_cast<std::int64_t>(number(1)));
            return true;
        case 'M':
            pushInteger(static_cast<std::int64_t>(number(2)));
            return true;
        case '\x8a': {  // an integer of so many bytes
            const std::size_t size = number(1);
            if (size > 8) refuse("holds an integer of more than 64 bits");
            const std::uint64_t value = number(size);
            const std::size_t unused = 64 - 8 * size;
            pushInteger(size == 0 ? 0 : static_cast<std::int64_t>(value << unused) >> unused);
            return true;
        }
        case 'G': {  // big-endian
            std::uint64_t bits = 0;
            for (const char c : take(8))
                bits = (bits << 8U) | static_cast<unsigned char>(c);
            push(Kind::Real).real = std::bit_cast<double>(bits);
            return true;
        }
        case 'I': {
            const std::string_view text = line();
            std::int64_t value = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
            if (error != std::errc() || end != text.data() + text.size()) refuse("holds an integer that is none");
            pushInteger(value);
            return true;
        }
        default:
            return false;
    }
}

bool PickleMachine::stepText(char op) {
    switch (op) {
        case 'X':
        case 'T':
        case 'B':
            pushText(take(number(4)));
            return true;
        case '\x8c':
        case 'U':
        case 'C':
            pushText(take(number(1)));
            return true;
        case '\x8d':
        case '\x8e':
            pushText(take(number(8)));
            return true;
        case 'V':
            pushText(line());
            return true;
        default:
            return false;
    }
}

bool PickleMachine::stepContainer(char op) {
    switch (op) {
        case '(':
            push(Kind::Mark);
            return true;
        case '}':
            push(Kind::Dictionary);
            return true;
        case ']':
            push(Kind::List);
            return true;
        case ')':
            push(Kind::Tuple);
            return true;
        case '\x85':
            tuple(1);
            return true;
        case '\x86':
            tuple(2);
            return true;
        case '\x87':
            tuple(3);
            return true;
        case 't':
        case 'l':
        case 'd': {
            std::vector<const PickleNode*> items = popToMark();
            if (op == 'd' && items.size() % 2 != 0) refuse("has a key without a value");
            push(op == 't' ? Kind::Tuple : op == 'l' ? Kind::List : Kind::Dictionary).items = std::move(items);
            return true;
        }
        case 'a': {
            const PickleNode* item = pop();
            top(Kind::List, "list").items.push_back(item);
            return true;
        }
        case 'e': {
            const std::vector<const PickleNode*> items = popToMark();
            PickleNode& list = top(Kind::List, "list");
            list.items.insert(list.items.end(), items.begin(), items.end());
            return true;
        }
        case 's': {
            const PickleNode* value = pop();
            const PickleNode* key = pop();
            PickleNode& dictionary = top(Kind::Dictionary, "dictionary");
            dictionary.items.push_back(key);
            dictionary.items.push_back(value);
            return true;
        }
        case 'u': {
            const std::vector<const PickleNode*> items = popToMark();
            if (items.size() % 2 != 0) refuse("has a key without a value");
            PickleNode& dictionary = top(Kind::Dictionary, "dictionary");
            dictionary.items.insert(dictionary.items.end(), items.begin(), items.end());
            return true;
        }
        default:
            return false;
    }
}

bool PickleMachine::stepMemo(char op) {
    switch (op) {
        case 'q':
            remember(number(1));
            return true;
        case 'r':
            remember(number(4));
            return true;
        case '\x94':
            remember(m_memo.size());
            return true;
        case 'h':
            recall(number(1));
            return true;
        case 'j':
            recall(number(4));
            return true;
        case '0':
            pop();
            return true;
        case '1':
            popToMark();
            return true;
        case '2':
            if (m_stack.empty()) refuse("doubles a value that is not there");
            m_stack.push_back(m_stack.back());
            return true;
        default:
            return false;
    }
}

void PickleMachine::global(std::string_view module, std::string_view name) {
    const std::string whole = fmt::format("{}.{}", module, name);
    if (whole != kOrderedDict && whole != kRebuildTensor && !storageType(whole))
        refuse(
            fmt::format("names {}, which is neither a tensor nor plain data: nothing in it was run, and it is not read "
                        "further",
                        whole));
    push(Kind::Global).text = whole;
}

/// ("storage", class, number, device, values): what torch.save keeps in an entry of its own.
void PickleMachine::persistent() {
    const PickleNode* id = pop();
    const auto& parts = id->items;
    if (!id->is(Kind::Tuple) || parts.size() < 5 || !parts[1]->is(Kind::Global) || !parts[2]->is(Kind::Text))
        refuse("refers to something that is no storage of a tensor");
    const std::optional<TensorType> type = storageType(parts[1]->text);
    if (!type) refuse("refers to a storage of no known type");
    // PyTorch before 1.6 could save a part of a storage under a number of its own.
    if (parts.size() > 5 && !parts[5]->is(Kind::None)) refuse("refers to a part of a storage");
    PickleNode& storage = push(Kind::Storage);
    storage.text = parts[2]->text;
    storage.tensor.type = *type;
    m_out->m_storages.emplace(storage.text, *type);
}

void PickleMachine::reduce() {
    const PickleNode* arguments = pop();
    const PickleNode* callable = pop();
    if (!callable->is(Kind::Global) || !arguments->is(Kind::Tuple)) refuse("calls something that is no class");
    if (callable->text == kRebuildTensor) return rebuildTensor(*arguments);
    if (callable->text != kOrderedDict || !arguments->items.empty())
        refuse(fmt::format("calls {} in a way that data need not", callable->text));
    push(Kind::Dictionary);
}

/// (storage, offset, shape, strides, …)
void PickleMachine::rebuildTensor(const PickleNode& arguments) {
    const auto& parts = arguments.items;
    if (parts.size() < 4 || !parts[0]->is(Kind::Storage) || !parts[1]->is(Kind::Integer) ||
        !parts[2]->is(Kind::Tuple) || !parts[3]->is(Kind::Tuple) || parts[2]->items.size() != parts[3]->items.size())
        refuse("holds a tensor without storage, shape or strides");
    PickledTensor tensor;
    tensor.type = parts[0]->tensor.type;
    tensor.storage = parts[0]->text;
    tensor.offset = parts[1]->integer;
    const auto numbers = [&](const PickleNode& from, std::vector<std::int64_t>& to) {
        for (const PickleNode* item : from.items) {
            if (!item->is(Kind::Integer) || item->integer < 0 || item->integer > (std::int64_t{1} << 40))
                refuse("holds a tensor with an impossible shape");
            to.push_back(item->integer);
        }
    };
    numbers(*parts[2], tensor.shape);
    numbers(*parts[3], tensor.strides);
    if (tensor.offset < 0) refuse("holds a tensor that begins before its storage");
    push(Kind::Tensor).tensor = std::move(tensor);
}

Unpickled::Unpickled(std::string_view pickle, std::string name) {
    m_root = PickleMachine(pickle, std::move(name), *this).run();
}

}  // namespace expertscope
