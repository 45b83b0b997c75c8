// SPDX-License-Identifier: GPL-3.0-or-later
// What a person waits for when the window opens a session of 10 million spans and 10 million selections: from the click
// to the first paint, to the first picture of a view, until everything is read; then after clicks that make the
// inspector count the run anew; and the longest time that the window stood still meanwhile, with the events that took
// it longer than a frame (numbered as in QEvent::Type). Not a Google Benchmark: one window, one opening, told in a line
// a view and a click.
//
//   es_bench_opening [SESSION [VIEW [RECORDS_READ_AT_ONCE]]]
//
// Makes SESSION where it is missing (default: a file in the temporary folder that is kept).
#include <QApplication>
#include <QElapsedTimer>
#include <QSettings>
#include <QTemporaryDir>
#include <QTimer>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/desktop/main_window.h"
#include "app/desktop/workspace.h"
#include "app/view_catalogue.h"
#include "bench_records.h"
#include "storage/session_writer.h"
#include "views/base/view.h"

namespace expertscope {
namespace {

constexpr std::int64_t kMillions = 10'000'000;
constexpr std::size_t kPart = 100'000;
constexpr double kPatienceMs = 60'000;

void make(const std::string& file) {
    SessionWriter writer(file);
    RunDescription run;
    run.model.name = "bench";
    run.model.layers = 8;
    run.model.experts = 32;
    run.model.topK = 4;
    run.model.expertBytes = Bytes(110'592);
    run.model.totalExpertBytes = Bytes(8 * 32 * 110'592);
    run.budget = Bytes(64 * 110'592);
    run.slots = 64;
    run.policy = "on-demand";
    run.eviction = "lru";
    run.start = Nanoseconds(1'000'000'000'000);
    writer.beginRun(run);
    BenchSpans spans;
    BenchSelections selections;
    std::int32_t token = 0;
    for (std::int64_t i = 0; i < kMillions; i += kPart) {
        writer.append(std::span<const SpanRecord>(spans.next(kPart)));
        writer.append(std::span<const SelectionRecord>(selections.next(kPart)));
        std::vector<TokenRecord> tokens;
        for (std::size_t n = 0; n < kPart / static_cast<std::size_t>(BenchSelections::kAToken); ++n, ++token) {
            TokenRecord record;
            record.token = TokenIndex(token);
            record.step = StepIndex(token);
            record.request = RequestIndex(static_cast<std::int32_t>(i / static_cast<std::int64_t>(kPart)));
            record.phase = Phase::Decode;
            record.time = run.start + Nanoseconds(token * 71'000LL);
            record.bytes = " word";
            tokens.push_back(record);
        }
        writer.append(std::span<const TokenRecord>(tokens));
        RequestRecord request;  // one a commit: 3125 tokens
        request.request = tokens.front().request;
        request.firstToken = tokens.front().token;
        request.start = tokens.front().time;
        request.end = tokens.back().time;
        request.generatedTokens = static_cast<std::int32_t>(tokens.size());
        writer.append(request);
        writer.commit();
    }
    RunSummary summary;
    summary.spans = summary.selections = kMillions;
    summary.generatedTokens = token;
    writer.endRun(summary, RunState::Complete);
    writer.close();
}

/// Tells which events kept the UI thread for longer than a frame.
class Frames : public QApplication {
public:
    using QApplication::QApplication;
    bool notify(QObject* receiver, QEvent* event) override {
        if (m_depth > 0) return QApplication::notify(receiver, event);
        const QByteArray name = QByteArray(receiver->metaObject()->className()) + " " + receiver->objectName().toUtf8();
        const int type = event->type();
        QElapsedTimer clock;
        clock.start();
        ++m_depth;
        const bool done = QApplication::notify(receiver, event);
        --m_depth;
        const double ms = static_cast<double>(clock.nsecsElapsed()) / 1e6;
        if (ms > kFrameMs) m_long.emplace_back(ms, name + " " + QByteArray::number(type));
        return done;
    }
    /// Prints what there was since the last time, the longest first.
    void tell() {
        std::ranges::sort(m_long, std::greater<>());
        for (const auto& [ms, what] : m_long)
            std::printf("    %6.1f ms: %s\n", ms, what.constData());
        m_long.clear();
    }

private:
    static constexpr double kFrameMs = 16;
    int m_depth = 0;
    std::vector<std::pair<double, QByteArray>> m_long;
};

/// Tells whether a view was painted since it was started, and how long the event loop stood still at most.
class Watch : public QObject {
public:
    Watch() {
        m_clock.start();
        qApp->installEventFilter(this);
        QObject::connect(&m_tick, &QTimer::timeout, [this] { beat(); });
        m_tick.start(0);
    }
    void start() {
        m_clock.restart();
        m_last = m_longest = 0;
        m_paints = false;
    }
    void beat() {
        const qint64 now = m_clock.nsecsElapsed();
        m_longest = std::max(m_longest, now - m_last);
        m_last = now;
    }
    bool eventFilter(QObject* object, QEvent* event) override {
        if (event->type() == QEvent::Paint && isOfView(object)) m_paints = true;
        return false;
    }
    double ms() const { return static_cast<double>(m_clock.nsecsElapsed()) / 1e6; }
    double longestMs() const { return static_cast<double>(m_longest) / 1e6; }
    bool painted() const { return m_paints; }

private:
    /// A view that its children cover is not painted itself.
    static bool isOfView(QObject* object) {
        while (object && !qobject_cast<View*>(object))
            object = object->parent();
        return object != nullptr;
    }

    QElapsedTimer m_clock;
    QTimer m_tick;
    qint64 m_last = 0, m_longest = 0;
    bool m_paints = false;
};

double residentMiB() {
    std::ifstream status("/proc/self/statm");
    double size = 0, resident = 0;
    status >> size >> resident;
    return resident * 4096 / (1 << 20);
}

/// Lets the window do what it still does.
void rest() {
    QElapsedTimer clock;
    clock.start();
    while (clock.elapsed() < 1500)
        QApplication::processEvents();
}

/// Selects as a click would, and tells for how long the window stood still then.
void click(MainWindow& window, Watch& watch, const char* what, const Selection& selection) {
    watch.start();
    window.selection().set(selection);
    watch.beat();
    const double returned = watch.ms();
    rest();
    watch.beat();
    std::printf("  click on %-22s returned %6.0f ms, longest stillness %5.0f ms\n", what, returned, watch.longestMs());
    static_cast<Frames*>(qApp)->tell();
    std::fflush(stdout);
}

void clickAround(MainWindow& window, Watch& watch) {
    const RunTrace* const trace = window.session().trace();
    if (!trace || trace->spans().empty()) return;
    Selection expert;
    expert.layer = LayerIndex(3);
    expert.expert = ExpertId(7);
    click(window, watch, "an expert", expert);
    Selection time;
    time.time = TimeRange{trace->spans().front().start, trace->spans().back().end};
    click(window, watch, "all of the time", time);
    Selection token;
    token.tokens = TokenRange{TokenIndex(1000), TokenIndex(1001)};
    click(window, watch, "a token", token);
    click(window, watch, "nothing", {});
}

void openIn(const QString& view, const QString& file, std::size_t atOnce) {
    QTemporaryDir folder;
    QSettings settings(folder.filePath("settings.ini"), QSettings::IniFormat);
    MainWindow window(settings, "expertscope", viewCatalogue(), Theme::Mode::Light);
    if (atOnce > 0) window.session().setReadAtOnce(atOnce);
    window.resize(1920, 1080);
    window.show();
    window.workspace().showView(view);
    QApplication::processEvents();
    Watch watch;
    watch.start();
    window.openSession(file);
    watch.beat();
    const double opened = watch.ms();
    while (!watch.painted() && watch.ms() < kPatienceMs)
        QApplication::processEvents();
    const double painted = watch.ms();
    while (window.session().isOpening() || window.session().reading())
        QApplication::processEvents();
    const double read = watch.ms();
    rest();
    watch.beat();
    std::printf(
        "%-10s open() %6.0f ms, first paint %6.0f ms, all read %6.0f ms, longest stillness %5.0f ms, %.0f MiB\n",
        view.toUtf8().constData(), opened, painted, read, watch.longestMs(), residentMiB());
    static_cast<Frames*>(qApp)->tell();
    std::fflush(stdout);
    clickAround(window, watch);
    window.openSession(file);  // again, which leaves what is there
    while (window.session().isOpening() || window.session().reading())
        QApplication::processEvents();
    std::printf("  opened again:\n");
    static_cast<Frames*>(qApp)->tell();
}

}  // namespace
}  // namespace expertscope

int main(int argc, char** argv) {
    using namespace expertscope;
    qputenv("QT_QPA_PLATFORM", "offscreen");
    Frames application(argc, argv);
    const std::string file =
        argc > 1 ? argv[1] : (std::filesystem::temp_directory_path() / "expertscope-bench-10m.esdb").string();
    if (!std::filesystem::exists(file)) make(file);
    const std::size_t atOnce = argc > 3 ? std::stoull(argv[3]) : 0;
    for (const char* view : {"overview", "experts", "timeline", "tokens", "compare"})
        if (argc < 3 || std::string_view(argv[2]) == view || std::string_view(argv[2]) == "all")
            openIn(view, QString::fromStdString(file), atOnce);
    return 0;
}
