// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/give_back.h"

#include <future>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

/// Tells which thread frees it.
struct Large {
    explicit Large(std::promise<std::thread::id>& told) : freed(&told) {}
    Large(Large&& other) noexcept : freed(std::exchange(other.freed, nullptr)) {}
    Large& operator=(Large&&) = delete;
    ~Large() {
        if (freed) freed->set_value(std::this_thread::get_id());
    }
    std::promise<std::thread::id>* freed;
};

TEST(GiveBack, FreesOnAnotherThread) {
    for (int i = 0; i < 20; ++i) {
        std::promise<std::thread::id> freed;
        giveBack(Large(freed));
        EXPECT_NE(freed.get_future().get(), std::this_thread::get_id());
    }
}

}  // namespace
}  // namespace expertscope
