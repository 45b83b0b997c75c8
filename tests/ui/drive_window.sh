#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# drive_window.sh EXPERTSCOPE FOLDER: drives the program by mouse and keyboard as a person would, on a screen of its own, and
# leaves screenshots in FOLDER. Exit code 77 where Xvfb, openbox, xdotool or ImageMagick are missing.
set -u
program=$(realpath "$1")
mkdir -p "$2" && shots=$(realpath "$2")

for tool in Xvfb openbox xdotool import compare pgrep; do
    command -v "$tool" > /dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done

home=$(mktemp -d)
started=()
cleanup() {
    for pid in "${started[@]}"; do kill "$pid" 2> /dev/null; done
    wait 2> /dev/null
    rm -rf "$home"
}
trap cleanup EXIT
export HOME=$home XDG_CONFIG_HOME=$home/config XDG_DATA_HOME=$home/data XDG_CACHE_HOME=$home/cache QT_QPA_PLATFORM=xcb
export LC_ALL=C.UTF-8
unset WAYLAND_DISPLAY

shot() { import -window root "$shots/$1.png"; }
fail() {
    shot failure
    echo "FAILED: $* (window title: '$(title)'; see $shots)"
    exit 1
}
title() { xdotool getwindowname "$window" 2> /dev/null; }
# wait_for SECONDS WHAT COMMAND…: until the command succeeds.
wait_for() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ $SECONDS -lt $end ] || fail "waited in vain for $what"
        sleep 0.2
    done
}
click() { xdotool mousemove --window "$window" "$1" "$2" sleep 0.1 click 1 sleep 0.2; }
# click_down X FROM TO STEP WHAT COMMAND…: clicks down a column of the window until the command succeeds, so that fonts and
# margins may move what is looked for.
click_down() {
    local x=$1 y from=$2 to=$3 step=$4 what=$5
    shift 5
    for ((y = from; y <= to; y += step)); do
        click "$x" "$y"
        sleep 0.4
        "$@" && return
    done
    fail "clicked in vain for $what"
}
park_mouse() { xdotool mousemove --window "$window" 700 60 sleep 0.4; } # where it hovers over no plot
key() { xdotool key --window "$window" "$1" sleep 0.3; }
colours() { import -window root -crop "$1" -format %k info:; } # how many there are in WxH+X+Y
differ() { [ "$(compare -metric AE "$1" "$2" null: 2>&1)" != 0 ]; }

# The screen.
exec 3> "$home/display"
Xvfb -displayfd 3 -screen 0 1440x900x24 -nolisten tcp > /dev/null 2>&1 &
started+=($!)
wait_for_display() { [ -s "$home/display" ]; }
window=0
for _ in $(seq 50); do wait_for_display && break; sleep 0.1; done
DISPLAY=:$(cat "$home/display") && export DISPLAY
openbox > /dev/null 2>&1 &
started+=($!)
sleep 0.5

# The program starts with three things to do.
"$program" > "$home/program.log" 2>&1 &
program_pid=$!
started+=($program_pid)
find_window() { window=$(xdotool search --onlyvisible --name '^ExpertScope$' 2> /dev/null | head -1); [ -n "$window" ]; }
wait_for 20 "the window" find_window
xdotool windowactivate --sync "$window" windowsize --sync "$window" 1440 860 windowmove "$window" 0 0 sleep 1
shot start_page

# A click on the uppermost button starts the bundled model, and its session is shown while it grows.
run_goes_on() { pgrep -P $program_pid > /dev/null; }
click_down 720 240 420 20 "the button that starts a run" run_goes_on
session_is_open() { [[ "$(title)" == *.esdb* ]]; }
wait_for 30 "the session of the run" session_is_open
map=700x300+330+200
few=$(colours $map)
map_has_filled() { [ "$(colours $map)" -gt 40 ]; }
wait_for 30 "the heat map to fill (it has $few colours)" map_has_filled
shot live_heat_map

# Ctrl+. stops the run; what was recorded stays.
sleep 4
key ctrl+period
run_has_ended() { ! run_goes_on; }
wait_for 15 "the run to stop" run_has_ended
sleep 2
shot stopped

# A cell of the heat map selects its layer and expert everywhere.
cell_is_selected() { [[ "$(title)" =~ ^layer\ [0-9]+\ ·\ expert\ [0-9]+ ]]; }
click_down 600 300 500 40 "a cell to select" cell_is_selected
selected=$(title)
park_mouse
shot selected_cell

# The timeline shows the same selection: it looks otherwise without it, and it does not change by itself.
key 3
park_mouse
sleep 1
timeline=700x500+330+160
crop() { import -window root -crop $timeline +repage "$shots/$1.png"; }
crop timeline_selected
sleep 1
crop timeline_selected_again
differ "$shots/timeline_selected.png" "$shots/timeline_selected_again.png" && fail "the timeline of a stopped run moves"
key Escape
key Escape
nothing_is_selected() { [[ "$(title)" != *layer* && "$(title)" != *expert\ * ]]; }
wait_for 5 "Esc to drop both chips" nothing_is_selected
park_mouse
sleep 1
crop timeline_unselected
differ "$shots/timeline_selected.png" "$shots/timeline_unselected.png" || fail "the timeline does not follow the selection"

# Ctrl+Z brings the selection back.
key ctrl+z
key ctrl+z
wait_for 5 "undo to bring '$selected' back" cell_is_selected
shot timeline

# The window closes, and the session is a whole file.
key ctrl+q
gone() { ! kill -0 $program_pid 2> /dev/null; }
wait_for 15 "the program to end" gone
session=$(ls "$XDG_DATA_HOME"/expertscope/sessions/*.esdb)
state=$("$program" info "$session" --json | grep -o '"state": *"[a-z]*"' | head -1)
[[ "$state" == *interrupted* || "$state" == *complete* ]] || fail "the session's first run is $state"
echo "passed: started by a click, $selected, first run $state"
