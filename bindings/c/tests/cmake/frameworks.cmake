# Runs the wrapper's CMakeLists.txt with stand-ins for a framework's functions, and prints what it asked for: cmake -P. A path that
# does not exist is an error. PACKAGE names the package's folder, FRAMEWORK zephyr or esp-idf.
function(there path)
    if(NOT EXISTS "${path}")
        message(FATAL_ERROR "there is no ${path}")
    endif()
endfunction()

# Zephyr: cmake/modules/extensions.cmake.
function(zephyr_library_import name path)
    there("${path}")
    message(STATUS "library ${name} ${path}")
endfunction()
function(zephyr_include_directories path)
    there("${path}/heartlens.h")
    message(STATUS "include ${path}")
endfunction()

# ESP-IDF: tools/cmake/component.cmake and utilities.cmake. Paths are relative to the component.
function(idf_component_register key path)
    there("${PACKAGE}/${path}/heartlens.h")
    message(STATUS "register ${key} ${path}")
    set(COMPONENT_LIB component PARENT_SCOPE)
endfunction()
function(add_prebuilt_library name path)
    there("${PACKAGE}/${path}")
    message(STATUS "library ${name} ${path}")
endfunction()
function(target_link_libraries target scope name)
    message(STATUS "link ${target} ${scope} ${name}")
endfunction()

if(FRAMEWORK STREQUAL zephyr)
    include("${PACKAGE}/zephyr/CMakeLists.txt")
else()
    include("${PACKAGE}/CMakeLists.txt")
endif()
