# SPDX-License-Identifier: GPL-3.0-or-later
# Every outside package, in one place; tools/packages.txt holds the Debian names.

find_package(Threads REQUIRED)
find_package(Qt6 6.4 REQUIRED COMPONENTS Core Gui Widgets PrintSupport Svg Test)
find_package(QCustomPlotQt6 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(fmt REQUIRED)
find_package(Eigen3 3.3 REQUIRED NO_MODULE)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
if(BUILD_TESTING OR NOT DEFINED BUILD_TESTING)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
# NVTX is headers alone. They come with the CUDA toolkit, and no GPU is needed for them; without them ranges are neither told nor
# received.
find_package(CUDAToolkit QUIET)
find_path(NVTX_INCLUDE_DIR nvtx3/nvToolsExt.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
if(NVTX_INCLUDE_DIR)
  add_library(NVTX::headers INTERFACE IMPORTED)
  target_include_directories(NVTX::headers SYSTEM INTERFACE ${NVTX_INCLUDE_DIR})
  target_link_libraries(NVTX::headers INTERFACE ${CMAKE_DL_LIBS})
endif()
