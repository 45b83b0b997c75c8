// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/run_text.h"

#include <fmt/format.h>

#include "app/cli/output.h"

namespace expertscope {
namespace {

double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

std::string heading(const RunOutcome& outcome) {
    const RunDescription& d = outcome.description;
    std::string line = outcome.id.value() > 0 ? fmt::format("run {} · ", outcome.id.value()) : "";
    line += fmt::format("{} · {} ({}, {}) · budget {}, {} of {} experts", d.model.name, d.policy,
                        d.exact ? "exact" : "approximate", d.eviction, formatBytes(d.budget), d.slots,
                        d.model.layers * d.model.experts);
    if (!d.link.empty()) line += " · link paced to " + d.link;
    if (outcome.state == RunState::Interrupted) line += " · interrupted";
    return line + '\n';
}

std::string figures(const RunSummary& s) {
    std::string text;
    text += fmt::format("  speed      decode {:.1f} tokens/s, prefill {:.1f} tokens/s, first token after {:.1f} ms\n",
                        s.decodeTokensPerSecond, s.prefillTokensPerSecond, s.ttftMs);
    text += fmt::format("  experts    {} accesses: {:.1f} % hits, {:.1f} % in flight, {:.1f} % misses\n", s.accesses,
                        percent(static_cast<double>(s.hits), static_cast<double>(s.accesses)),
                        percent(static_cast<double>(s.hitsInFlight), static_cast<double>(s.accesses)),
                        percent(static_cast<double>(s.misses), static_cast<double>(s.accesses)));
    text += fmt::format("  transfers  {} moved: demand {}, prefetch {} (useful {}, late {}, wasted {}, cancelled {})\n",
                        formatBytes(s.moved), formatBytes(s.demand), formatBytes(s.prefetch), formatBytes(s.useful),
                        formatBytes(s.late), formatBytes(s.wasted), formatBytes(s.cancelled));
    text += fmt::format("  time       {:.1f} ms: compute {:.1f} %, waiting {:.1f} %, other {:.1f} %\n", s.totalMs,
                        percent(s.computeMs, s.totalMs), percent(s.waitMs, s.totalMs), percent(s.otherMs, s.totalMs));
    return text;
}

std::string fidelityLine(const RunSummary& summary) {
    if (summary.fidelityJson.empty()) return {};
    const Json f = Json::parse(summary.fidelityJson);
    const auto number = [&f](const char* key) { return f[key].is_number() ? f[key].get<double>() : 0.0; };
    return fmt::format("  fidelity   top-1 agreement {:.2f} %, KL {:.3g} nats, perplexity {:.3f} (resident {:.3f})\n",
                       100 * number("top1_agreement"), number("kl"), number("perplexity"),
                       number("resident_perplexity"));
}

}  // namespace

std::string runText(const RunOutcome& outcome, const std::vector<GenerationRequest>& requests) {
    std::string text = heading(outcome);
    for (std::size_t i = 0; i < outcome.results.size(); ++i) {
        const GenerationResult& result = outcome.results[i];
        const std::string label = requests[i].label.empty() ? "" : printable(requests[i].label) + ": ";
        text += fmt::format("  {}{} tokens (stopped: {})\n", label, result.generated.size(), result.stopped);
        if (!result.text.empty()) text += result.text + '\n';
    }
    return text + figures(outcome.summary) + fidelityLine(outcome.summary);
}

}  // namespace expertscope
