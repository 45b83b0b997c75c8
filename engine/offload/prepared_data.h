// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace expertscope {

/// Row-major float32 values with their shape.
struct PreparedTable {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
};

/// What policies need beforehand of one model, collected from recorded sessions or fitted: named tables, the model that
/// they are of, and where they come from. Kept as one safetensors file whose metadata holds the model's fingerprint.
///
/// Tables (L layers, E experts, H hidden, n samples), and what becomes of two of one name in merge():
///   popularity [L, E]        selections of each expert                                   added up
///   co_activation [L, E, E]  tokens for which a layer chose both experts; 0 on the diagonal  added up
///   eamc [n, L, E]           activation matrices of requests: tokens that chose an expert    appended
///   expert_maps, expert_maps.… [n, …]  one row a sample                                       appended
///   sensitivity [L], pre_gate.D.N [E, H], every other name: fitted to data as a whole     the newer one stays
/// A name that ends in `.sum` or `.count` is added up, so that a mean can be kept mergeable.
class PreparedData {
public:
    enum class Merge : std::uint8_t { Add, Append, Replace };

    /// Data of no model yet; the first that is merged into it decides.
    PreparedData() = default;
    /// Empty data of the model with this ModelFacts::fingerprint; `modelName` is for messages.
    PreparedData(std::string fingerprint, std::string modelName);

    /// Throws BadInputError when the file is missing, damaged, or not written by save().
    static PreparedData load(const std::filesystem::path& file);
    /// Replaces the file as a whole; on failure the old one stays. Throws FailedError when it cannot be written.
    void save(const std::filesystem::path& file) const;

    const std::string& fingerprint() const { return m_fingerprint; }
    const std::string& modelName() const { return m_modelName; }
    /// Throws BadInputError when the data are of another model.
    void requireModel(const std::string& fingerprint, const std::string& modelName) const;

    /// Where the tables come from: one sentence a run or fit, each once, in order.
    const std::vector<std::string>& sources() const { return m_sources; }
    bool hasSource(std::string_view source) const;
    void addSource(const std::string& source);

    bool empty() const { return m_tables.empty(); }
    const std::map<std::string, PreparedTable, std::less<>>& tables() const { return m_tables; }
    /// Null when there is none of that name.
    const PreparedTable* find(std::string_view name) const;
    /// The table of that name with that shape; −1 in `shape` stands for any size. Throws BadInputError when it is
    /// missing or has another shape.
    const PreparedTable& table(std::string_view name, const std::vector<std::int64_t>& shape) const;
    /// Sets a table, replacing one of the same name. `values` has as many elements as the shape says.
    void set(const std::string& name, std::vector<std::int64_t> shape, std::vector<float> values);

    /// Adds what `other` holds, table by table as mergeOf() says. Throws BadInputError when it is of another model or
    /// has a table of another shape; nothing has changed then.
    void merge(const PreparedData& other);
    static Merge mergeOf(std::string_view name);

private:
    std::string m_fingerprint, m_modelName;
    std::vector<std::string> m_sources;
    std::map<std::string, PreparedTable, std::less<>> m_tables;
};

}  // namespace expertscope
