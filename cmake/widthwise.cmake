# widthwise_library(<folder> SOURCES a.cpp ... DEPENDS widthwise::core fmt::fmt ...)
# widthwise_test(<folder> SOURCES ...), registered test by test with the folder's name as label.
# Both set the warnings and the root include.

function(widthwise_compile_options target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wshadow -Werror -ffp-contract=off)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
endfunction()

function(widthwise_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(widthwise_${name} STATIC ${ARG_SOURCES})
  add_library(widthwise::${name} ALIAS widthwise_${name})
  widthwise_compile_options(widthwise_${name})
  target_link_libraries(widthwise_${name} PUBLIC ${ARG_DEPENDS})
endfunction()

function(widthwise_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name}_test ${ARG_SOURCES})
  widthwise_compile_options(${name}_test)
  target_link_libraries(${name}_test PRIVATE ${ARG_DEPENDS} GTest::gtest GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name}_test DISCOVERY_TIMEOUT 60 PROPERTIES LABELS ${name} TIMEOUT 600)
endfunction()
