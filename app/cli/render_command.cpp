// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/render_command.h"

#include <QApplication>
#include <QSize>
#include <charconv>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/cli/output.h"
#include "app/cli/qt_messages.h"
#include "app/view_catalogue.h"
#include "engine/base/error.h"
#include "views/base/selection.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"
#include "views/base/view.h"
#include "views/base/window_style.h"

namespace expertscope {
namespace {

constexpr int kLargestSide = 16384;

struct RenderArguments {
    std::string session, view, out;
    std::string size = "1600x900";
    std::string theme = "light";
    int run = 0;     ///< 0: the newest
    int layer = -1;  ///< -1: the view's own choice
    bool list = false;
    bool json = false;
};

std::string viewNames() {
    std::string names;
    for (const ViewEntry& view : viewCatalogue())
        names += (names.empty() ? "" : ", ") + view.name.toStdString();
    return names;
}

const ViewEntry& findView(const std::string& name) {
    for (const ViewEntry& view : viewCatalogue()) {
        if (view.name == QString::fromStdString(name)) return view;
    }
    throw UsageError(fmt::format("There is no view '{}': use one of {}.", name, viewNames()));
}

QSize parsePixels(const std::string& text) {
    int width = 0;
    int height = 0;
    const char* end = text.data() + text.size();
    const auto [cross, first] = std::from_chars(text.data(), end, width);
    bool right = first == std::errc() && cross != end && *cross == 'x';
    if (right) {
        const auto [last, second] = std::from_chars(cross + 1, end, height);
        right = second == std::errc() && last == end;
    }
    if (!right || width < 1 || height < 1 || width > kLargestSide || height > kLargestSide) {
        throw UsageError(fmt::format("The --size '{}' is none: write WIDTHxHEIGHT in pixels, as 1600x900.", text));
    }
    return {width, height};
}

const Theme& parseTheme(const std::string& name) {
    if (name == "light") return Theme::light();
    if (name == "dark") return Theme::dark();
    throw UsageError(fmt::format("There is no theme '{}': use light or dark.", name));
}

void checkFormat(const std::string& out) {
    for (const char* ending : {".png", ".svg", ".pdf"}) {
        if (out.ends_with(ending)) return;
    }
    throw UsageError(fmt::format("The ending of '{}' names no picture format: use .png, .svg or .pdf.", out));
}

/// The run to show. Throws UsageError naming the runs that the session has.
RunId shownRun(const SessionModel& session, int asked) {
    if (session.runs().empty())
        throw BadInputError(fmt::format("The session {} holds no run.", session.file().toStdString()));
    if (asked == 0) return session.runs().back().id;
    std::string ids;
    for (const RunEntry& run : session.runs()) {
        if (run.id.value() == asked) return run.id;
        ids += (ids.empty() ? "" : ", ") + std::to_string(run.id.value());
    }
    throw UsageError(fmt::format("The session has no run {}: it has {}.", asked, ids));
}

void checkLayer(const SessionModel& session, int layer) {
    const int layers = session.trace()->model().layers;
    if (layer < -1 || layer >= layers) {
        throw UsageError(fmt::format("The model has no layer {}: its layers are 0 to {}.", layer, layers - 1));
    }
}

void listViews(bool json) {
    Json names = Json::array();
    for (const ViewEntry& view : viewCatalogue()) {
        names.push_back(view.name.toStdString());
        if (!json) std::cout << fmt::format("{:<12}{}\n", view.name.toStdString(), view.title.toStdString());
    }
    if (json) printJson({{"views", std::move(names)}});
}

void checkComplete(const RenderArguments& arguments) {
    if (arguments.session.empty()) throw UsageError("'render' needs a SESSION, or --list.");
    if (arguments.view.empty()) throw UsageError(fmt::format("'render' needs --view: use one of {}.", viewNames()));
    if (arguments.out.empty()) throw UsageError("'render' needs --out: a file that ends in .png, .svg or .pdf.");
}

int render(const RenderArguments& arguments) {
    if (arguments.list) {
        listViews(arguments.json);
        return 0;
    }
    checkComplete(arguments);
    const ViewEntry& entry = findView(arguments.view);
    const QSize size = parsePixels(arguments.size);
    const Theme& theme = parseTheme(arguments.theme);
    checkFormat(arguments.out);

    qputenv("QT_QPA_PLATFORM", "offscreen");  // no window is shown, so that no display is needed
    const QuietQtMessages quiet;
    int argc = 1;
    char name[] = "expertscope";
    char* argv[] = {name, nullptr};
    const QApplication application(argc, argv);
    QApplication::setStyle(new WindowStyle);  // as the window's
    QApplication::setPalette(theme.palette());

    SessionModel session;
    session.open(QString::fromStdString(arguments.session));
    session.setCurrentRun(shownRun(session, arguments.run));
    session.finishReading();
    checkLayer(session, arguments.layer);
    SelectionModel selection;
    const std::unique_ptr<View> view(entry.make(session, selection, nullptr));
    view->setTheme(theme);
    view->resize(size);
    if (arguments.layer >= 0) view->setLayer(arguments.layer);
    view->refresh();
    view->exportTo(QString::fromStdString(arguments.out), size);
    if (arguments.json) {
        printJson({{"view", arguments.view}, {"run_id", session.currentRun()->value()}, {"out", arguments.out}});
    }
    return 0;
}

}  // namespace

void addRenderCommand(CLI::App& app, CommandAction& action) {
    CLI::App* command = app.add_subcommand("render", "One view of a session as a picture, without a window");
    const auto arguments = std::make_shared<RenderArguments>();
    command->add_option("SESSION", arguments->session, "A session file");
    command->add_option("--view", arguments->view, "Which view (--list names them)")->type_name("NAME");
    command->add_option("--out", arguments->out, "Picture to write: .png, .svg or .pdf")->type_name("FILE");
    command->add_option("--size", arguments->size, "In pixels")->capture_default_str()->type_name("WxH");
    command->add_option("--theme", arguments->theme, "light or dark")->capture_default_str();
    command->add_option("--run", arguments->run, "Which run [the newest]");
    command->add_option("--layer", arguments->layer, "Which layer a view of one layer shows");
    command->add_flag("--list", arguments->list, "Name the views");
    command->add_flag("--json", arguments->json, "As one JSON object");
    command->callback([arguments, &action] { action = [arguments] { return render(*arguments); }; });
}

}  // namespace expertscope
