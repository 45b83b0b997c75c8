// SPDX-License-Identifier: GPL-3.0-or-later
// What other tools' binary files are read by. The first byte says which: pickle, array, ZIP of arrays, importance
// matrix, table.

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include <unistd.h>

#include "engine/base/error.h"
#include "profiler/interchange/csv_route_rows.h"
#include "profiler/interchange/imatrix_import.h"
#include "profiler/interchange/npy.h"
#include "profiler/interchange/npz_import.h"
#include "profiler/interchange/pickle.h"
#include "profiler/interchange/routing_import.h"
#include "profiler/interchange/torch_file.h"
#include "profiler/interchange/zip_file.h"
#include "tests/fuzz/fuzz_target.h"

namespace {

using namespace expertscope;

/// One file that every input overwrites, gone at the end.
struct Scratch {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("expertscope-fuzz-" + std::to_string(::getpid()));
    ~Scratch() {
        std::error_code ignored;
        std::filesystem::remove(path, ignored);
    }
    const std::filesystem::path& holding(const std::string& bytes) const {
        std::ofstream(path, std::ios::binary) << bytes;
        return path;
    }
};

void readArray(const std::string& bytes) {
    NpyReader npy(std::make_unique<std::istringstream>(bytes), "fuzz");
    for (std::int64_t i = 0; i < npy.size(); ++i)
        npy.real();
    npy.finish();
}

void readAs(char kind, const std::string& bytes) {
    static const Scratch scratch;
    switch (kind) {
        case 'p':
            Unpickled(bytes, "fuzz");
            return;
        case 'n':
            readArray(bytes);
            return;
        case 'z':
            checkRouting(*openNpzRoutes(scratch.holding(bytes)));
            return;
        case 't':
            TorchFile(scratch.holding(bytes));
            return;
        case 'g':
            readImatrix(scratch.holding(bytes));
            return;
        default: {
            const auto& file = scratch.holding(bytes);
            const CsvLayout layout = surveyCsv(file);
            CsvRouteRows rows(file, layout);
            checkRouting(rows);
        }
    }
}

std::string sample(char kind, const char* name) {
    std::ifstream in(std::filesystem::path(EXPERTSCOPE_INTERCHANGE_SAMPLES) / name, std::ios::binary);
    return kind + std::string(std::istreambuf_iterator<char>(in), {});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    try {
        readAs(static_cast<char>(data[0]), std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
    } catch (const expertscope::BadInputError&) {}
    return 0;
}

namespace expertscope::test {

FuzzSeeds fuzzSeeds() {
    constexpr char kPickle[] =
        "p\x80\x02}q\x00(X\x01\x00\x00\x00"
        "aq\x01]q\x02(K\x01J\xfe\xff\xff\xff"
        "eu.";
    return {{sample('n', "routes_int16.npy"), sample('z', "routes.npz"), sample('t', "sglang_per_token.pt"),
             sample('t', "sglang_per_token_deflated.pt"), sample('g', "imatrix.gguf"),
             std::string(kPickle, sizeof kPickle - 1),
             "ctoken,layer,expert,weight\n0,0,1,0.5\n0,1,2,0.5\n1,0,3,1\n1,1,0,nan\n", "c0;0;1\n0;1;2\n1;0;0\n"},
            {"'shape': (6, 3, 2)",
             "'shape': (99999999, 99999999, 2)",
             "'descr': '<i8'",
             "True",
             "\xff\xff\xff\xff",
             "PK\x01\x02",
             "PK\x05\x06",
             "cos\nsystem\n",
             "(",
             "R",
             "Q",
             "t",
             "u",
             "s",
             "e",
             "-1",
             "65535",
             "step",
             ",",
             "\n",
             std::string(4, '\0'),
             std::string("\x01\x00\x00\x00\x00\x00\x00\x00", 8)}};
}

}  // namespace expertscope::test
