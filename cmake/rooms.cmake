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

# Headers that take longer to read than most of our files to compile: who includes them much reads them once.
set(EXPERTSCOPE_QT_HEADERS <qcustomplot.h> <QtWidgets>)
set(EXPERTSCOPE_JSON_HEADERS <nlohmann/json.hpp>)
set(EXPERTSCOPE_TEST_HEADERS <gmock/gmock.h> <gtest/gtest.h>)

# expertscope_room(NAME SOURCES … DEPENDS … [PRECOMPILE …]): the static library es_NAME of the room in this folder.
function(expertscope_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;PRECOMPILE" ${ARGN})
  add_library(es_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(es_${name} PUBLIC expertscope_flags ${ARG_DEPENDS})
  target_precompile_headers(es_${name} PRIVATE ${ARG_PRECOMPILE})
endfunction()

# expertscope_tests(NAME SOURCES … DEPENDS … [PRECOMPILE …]): the GoogleTest program es_NAME_tests, its cases known to CTest.
function(expertscope_tests name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;PRECOMPILE" ${ARGN})
  add_executable(es_${name}_tests ${ARG_SOURCES})
  target_link_libraries(es_${name}_tests PRIVATE ${ARG_DEPENDS} GTest::gmock GTest::gtest_main)
  target_precompile_headers(es_${name}_tests PRIVATE ${EXPERTSCOPE_TEST_HEADERS} ${ARG_PRECOMPILE})
  gtest_discover_tests(es_${name}_tests TEST_PREFIX "${name}/" DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT 300 ENVIRONMENT "QT_QPA_PLATFORM=offscreen")
endfunction()
