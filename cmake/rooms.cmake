# SPDX-License-Identifier: GPL-3.0-or-later
# One target a room, one test program a room. tools/check_includes.py holds the same arrows against the sources.

add_library(expertscope_flags INTERFACE)
target_include_directories(expertscope_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(expertscope_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
if(EXPERTSCOPE_WERROR)
  target_compile_options(expertscope_flags INTERFACE -Werror)
endif()
if(EXPERTSCOPE_SANITIZE)
  list(JOIN EXPERTSCOPE_SANITIZE "," expertscope_sanitizers)
  target_compile_options(expertscope_flags INTERFACE -fsanitize=${expertscope_sanitizers} -fno-omit-frame-pointer)
  target_link_options(expertscope_flags INTERFACE -fsanitize=${expertscope_sanitizers})
endif()

# Headers that take longer to read than most of our files to compile: who includes them much reads them once. A compiled header is
# itself slow to make, so rooms that want the same ones and are compiled with the same options share it (PRECOMPILED_BY).
set(EXPERTSCOPE_STANDARD_HEADERS <algorithm> <array> <atomic> <bit> <charconv> <chrono> <cmath> <condition_variable> <cstdint> <cstdio>
    <cstring> <deque> <exception> <filesystem> <fstream> <functional> <iostream> <limits> <map> <memory> <mutex> <numeric> <optional>
    <random> <set> <span> <sstream> <string> <string_view> <thread> <tuple> <unordered_map> <utility> <variant> <vector>
    <fmt/format.h>)
set(EXPERTSCOPE_QT_HEADERS <qcustomplot.h> <QtWidgets>)
set(EXPERTSCOPE_JSON_HEADERS <nlohmann/json.hpp>)
set(EXPERTSCOPE_TEST_HEADERS <gmock/gmock.h> <gtest/gtest.h>)

# expertscope_room(NAME SOURCES … DEPENDS … [PRECOMPILE … | PRECOMPILED_BY TARGET] [TOGETHER N]): the static library es_NAME of the room in this
# folder. Without either word it shares the standard library's headers with engine/base. TOGETHER N compiles N sources as one, where
# they mostly instantiate the same templates.
function(expertscope_room name)
  cmake_parse_arguments(ARG "" "PRECOMPILED_BY;TOGETHER" "SOURCES;DEPENDS;PRECOMPILE" ${ARGN})
  add_library(es_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(es_${name} PUBLIC expertscope_flags ${ARG_DEPENDS})
  if(ARG_TOGETHER)
    set_target_properties(es_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${ARG_TOGETHER})
  endif()
  if(ARG_PRECOMPILED_BY)
    target_precompile_headers(es_${name} REUSE_FROM ${ARG_PRECOMPILED_BY})
  elseif(ARG_PRECOMPILE OR name STREQUAL "base")
    target_precompile_headers(es_${name} PRIVATE ${EXPERTSCOPE_STANDARD_HEADERS} ${ARG_PRECOMPILE})
  else()
    target_precompile_headers(es_${name} REUSE_FROM es_base)
  endif()
endfunction()

# expertscope_tests(NAME SOURCES … DEPENDS … [PRECOMPILE … | PRECOMPILED_BY TARGET] [TOGETHER N]): the GoogleTest program es_NAME_tests,
# its cases known to CTest. Without a word on headers it shares GoogleTest's with the tests of engine/base.
function(expertscope_tests name)
  cmake_parse_arguments(ARG "" "PRECOMPILED_BY;TOGETHER" "SOURCES;DEPENDS;PRECOMPILE" ${ARGN})
  add_executable(es_${name}_tests ${ARG_SOURCES})
  if(ARG_TOGETHER)
    set_target_properties(es_${name}_tests PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${ARG_TOGETHER})
  endif()
  target_link_libraries(es_${name}_tests PRIVATE ${ARG_DEPENDS} GTest::gmock GTest::gtest_main)
  if(ARG_PRECOMPILED_BY)
    target_precompile_headers(es_${name}_tests REUSE_FROM ${ARG_PRECOMPILED_BY})
  elseif(ARG_PRECOMPILE OR name STREQUAL "base")
    target_precompile_headers(es_${name}_tests PRIVATE ${EXPERTSCOPE_STANDARD_HEADERS} ${EXPERTSCOPE_TEST_HEADERS}
                              ${ARG_PRECOMPILE})
  else()
    target_precompile_headers(es_${name}_tests REUSE_FROM es_base_tests)
  endif()
  gtest_discover_tests(es_${name}_tests TEST_PREFIX "${name}/" DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT 300 ENVIRONMENT "QT_QPA_PLATFORM=offscreen")
endfunction()
