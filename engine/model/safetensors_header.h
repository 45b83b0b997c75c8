// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/tensor_source.h"

namespace expertscope {

/// Headers longer than this are refused unread, as the reference reader does.
inline constexpr std::int64_t kMaxSafetensorsHeader = 100'000'000;

/// The tensor table of one safetensors file, in the order of its data. `header` is the JSON between the length and the
/// data, `dataBytes` how many bytes follow it in the file; offsets in the result are relative to the data, `file` is 0.
///
/// Accepts and refuses what the reference reader (huggingface/safetensors, tensor.rs) does: UTF-8, an object of
/// {dtype, shape, data_offsets}, strings in __metadata__, known dtypes, tensors that follow each other without holes or
/// overlaps, sizes that fit their shapes without overflow, data that end where the file ends. Stricter in two points:
/// repeated names are refused (the format forbids them), and a dimension above 2^63 − 1 beside a zero.
/// Throws BadInputError: one sentence with `fileName`, the reference reader's name of the error in its detail.
std::vector<TensorInfo> parseSafetensorsHeader(std::string_view header, std::int64_t dataBytes,
                                               const std::string& fileName);

}  // namespace expertscope
