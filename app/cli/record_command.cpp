// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/record_command.h"

#include <chrono>
#include <cstring>
#include <ctime>
#include <exception>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include "app/cli/child_command.h"
#include "app/cli/machine_description.h"
#include "app/cli/output.h"
#include "engine/base/error.h"
#include "profiler/capture/direct_recorder.h"
#include "profiler/capture/nvtx_listener.h"
#include "profiler/capture/nvtx_wire.h"
#include "storage/session_writer.h"

namespace expertscope {
namespace {

// A thread's ring holds 20,000 ranges: at this pace nothing is lost up to two million ranges a second and thread.
constexpr std::chrono::milliseconds kDrainEvery(10);

struct RecordArguments {
    std::string out;
    std::vector<std::string> command;
    bool json = false;
};

/// The library that goes into the program: beside this one, or where `install` puts it.
std::string injectionLibrary() {
    if (!EXPERTSCOPE_HAS_NVTX)
        throw FailedError(
            "This build of ExpertScope cannot record other programs because it was made without the NVTX headers: "
            "install the CUDA toolkit (no GPU is needed) and build again.");
    std::error_code ignored;
    const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
    const char* const name = "libexpertscope_nvtx.so";
    for (const std::filesystem::path& place : {folder / name, folder / EXPERTSCOPE_LIBRARY_FOLDER / name})
        if (std::filesystem::exists(place, ignored)) return std::filesystem::canonical(place, ignored).string();
    throw FailedError(
        fmt::format("The library '{}' that goes into the program to be recorded is not beside this "
                    "program in '{}': install ExpertScope again.",
                    name, folder.string()));
}

std::string quoted(const std::string& word) {
    const bool plain = !word.empty() && word.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789_-+=./,:@%") == std::string::npos;
    if (plain) return word;
    std::string text = "'";
    for (const char c : word)
        text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return text + "'";
}

/// One recording of one command.
class Recording {
public:
    explicit Recording(const RecordArguments& arguments)
        : m_arguments(arguments), m_library(injectionLibrary()), m_child(arguments.command), m_writer(arguments.out) {}

    /// Runs the command to its end; its exit code.
    int run();

private:
    RunDescription describe() const;
    void receive();
    void finish();
    void tellEnding();
    void report() const;
    bool interrupted() const { return ChildCommand::stopAsked(); }

    const RecordArguments& m_arguments;
    const std::string m_library;
    ChildCommand m_child;
    SessionWriter m_writer;
    NvtxListener m_listener;
    RunDescription m_description;
    RunId m_run;
    std::optional<DirectRecorder> m_recorder;
    std::optional<NvtxCollector> m_collector;
    ChildCommand::Ending m_ending;
    RunSummary m_summary;
};

RunDescription Recording::describe() const {
    RunDescription run;
    run.model.name = "unknown";
    run.model.fingerprint = "recorded:unknown";
    run.policy = "recorded";
    run.record = {.routing = true, .spans = true, .norms = false, .predictions = false};
    run.command = fmt::format("expertscope record --out {} --", quoted(m_arguments.out));
    for (const std::string& word : m_arguments.command)
        run.command += " " + quoted(word);
    run.machineJson = machineDescription();
    run.startedUtc = fmt::format("{:%FT%TZ}", fmt::gmtime(std::time(nullptr)));
    run.start = sessionNow();
    run.group = fmt::format("{:x}-{:x}", run.start.count(), getpid());
    return run;
}

void Recording::receive() {
    std::optional<ChildCommand::Ending> ending;
    while (!(ending = m_child.ended())) {
        m_listener.accept(*m_collector, kDrainEvery);
        m_collector->drain();
        m_recorder->commit();
    }
    m_ending = *ending;
    m_listener.accept(*m_collector, std::chrono::milliseconds(0));
}

void Recording::tellEnding() {
    if (m_ending.exitCode == 0 || interrupted()) return;
    const std::string how =
        m_ending.signal ? fmt::format("was ended by signal {} ({})", m_ending.signal, strsignal(m_ending.signal))
                        : fmt::format("ended with exit code {}", m_ending.exitCode);
    m_recorder->onDiagnostic(
        {.time = sessionNow(),
         .name = "command_failed",
         .severity = Severity::Error,
         .sentence = fmt::format("The recorded command {}; what it told until then is here.", how)});
}

void Recording::finish() {
    m_collector->finish();
    tellEnding();
    const NvtxCounts counts = m_collector->counts();
    if (counts.processes == 0)
        m_recorder->onDiagnostic(
            {.time = sessionNow(),
             .name = "nvtx_not_used",
             .severity = Severity::Warning,
             .sentence = "No NVTX call was received: the command makes none, or is linked statically, or another tool "
                         "was put into it."});
    m_recorder->commit(true);
    m_summary.spans = counts.ranges + counts.marks;
    m_summary.selections = counts.selections;
    m_summary.accesses = m_summary.hits = counts.accesses;
    m_summary.promptTokens = counts.promptTokens;
    m_summary.generatedTokens = counts.generatedTokens;
    m_summary.dropped = counts.lost;
    if (counts.generatedTokens > 1 && counts.generating.count() > 0)
        m_summary.decodeTokensPerSecond =
            static_cast<double>(counts.generatedTokens - 1) * 1e9 / static_cast<double>(counts.generating.count());
    m_summary.stopped = interrupted() ? "interrupted" : m_ending.exitCode == 0 ? "tokens" : "failed";
    m_summary.totalMs = static_cast<double>((sessionNow() - m_description.start).count()) * 1e-6;
    m_writer.endRun(m_summary, interrupted()            ? RunState::Interrupted
                               : m_ending.exitCode == 0 ? RunState::Complete
                                                        : RunState::Failed);
    m_writer.close();
}

void Recording::report() const {
    const NvtxCounts counts = m_collector->counts();
    if (m_arguments.json) {
        printJson({{"session", m_arguments.out},
                   {"runs",
                    {{{"run_id", m_run.value()},
                      {"exit_code", m_ending.exitCode},
                      {"processes", counts.processes},
                      {"ranges", counts.ranges},
                      {"marks", counts.marks},
                      {"selections", counts.selections},
                      {"dropped", counts.lost}}}}});
        return;
    }
    std::cerr << fmt::format("expertscope: {}: run {}, {} ranges and {} marks of {} processes, {} selections{}\n",
                             m_arguments.out, m_run.value(), counts.ranges, counts.marks, counts.processes,
                             counts.selections,
                             counts.lost > 0 ? fmt::format(", {} events lost", counts.lost) : std::string());
}

int Recording::run() {
    m_description = describe();
    m_child.start({{"NVTX_INJECTION64_PATH", m_library}, {kNvtxSocketVariable, m_listener.path().string()}},
                  m_arguments.json);
    m_run = m_writer.beginRun(m_description);
    m_recorder.emplace(m_writer);
    m_collector.emplace(*m_recorder, m_description.model);
    try {
        receive();
        finish();
    } catch (const Error&) {
        // The command's work is worth more than its recording: it goes on alone.
        m_collector.reset();
        m_child.wait();
        throw;
    }
    report();
    return m_ending.exitCode;
}

}  // namespace

void addRecordCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("record", "Record the NVTX ranges of any program into a session");
    const auto arguments = std::make_shared<RecordArguments>();
    command->add_option("--out", arguments->out, "The session; appends where it exists")
        ->required()
        ->type_name("S.esdb");
    command->add_flag("--json", arguments->json,
                      "Summary as one JSON object; the command's output goes to standard error");
    command->add_option("COMMAND", arguments->command, "The program and its arguments, after --")->required();
    command->footer(
        "Ends with the command's exit code (128 + N where signal N ended it). docs/NVTX.md tells how an engine reports "
        "its experts.");
    command->callback([arguments, &action] { action = [arguments] { return Recording(*arguments).run(); }; });
}

}  // namespace expertscope
