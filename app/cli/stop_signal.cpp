// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/stop_signal.h"

#include <atomic>
#include <csignal>

#include "engine/inference/engine.h"

namespace expertscope {
namespace {

// A signal handler reaches nothing but what is global; both are lock-free.
std::atomic<Engine*> g_engine{nullptr};
std::atomic<bool> g_received{false};

extern "C" void stopOnSignal(int) {
    g_received.store(true);
    if (Engine* engine = g_engine.load(); engine != nullptr) engine->requestStop();
}

void install(void (*handler)(int), int flags) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

StopSignal::StopSignal() {
    g_received.store(false);
    install(stopOnSignal, static_cast<int>(SA_RESTART | SA_RESETHAND));
}

StopSignal::~StopSignal() {
    g_engine.store(nullptr);
    install(SIG_DFL, 0);
}

void StopSignal::setEngine(Engine* engine) {
    g_engine.store(engine);
    // A signal that came before the engine was known must reach it too.
    if (engine != nullptr && g_received.load()) engine->requestStop();
}

bool StopSignal::received() const { return g_received.load(); }

}  // namespace expertscope
