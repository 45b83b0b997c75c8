// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <vector>

namespace expertscope {

/// Keeps rows of logits in an unnamed temporary file until they are compared: a long request's logits would not fit
/// memory beside a large model.
class LogitsSpool {
public:
    /// Throws FailedError when there is no room for temporary files.
    explicit LogitsSpool(std::int64_t columns);
    /// `values`: [n, columns], the next rows. Throws FailedError when the disk is full.
    void append(std::span<const float> values);
    std::int64_t rows() const { return m_rows; }
    /// Row `index` into `out` [columns].
    void read(std::int64_t index, std::span<float> out);

private:
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    std::unique_ptr<std::FILE, Close> m_file;
    std::int64_t m_columns;
    std::int64_t m_rows = 0;
};

}  // namespace expertscope
