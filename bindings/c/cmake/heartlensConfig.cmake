# find_package(heartlens CONFIG PATHS where/this/package/lies), then target_link_libraries(app PRIVATE heartlens::heartlens).
# HEARTLENS_TARGET names the library, a folder of lib/: thumbv7em-none-eabihf for a Cortex-M4F with hardware floats.

get_filename_component(HEARTLENS_ROOT "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT DEFINED HEARTLENS_TARGET)
    if(CMAKE_CROSSCOMPILING)
        file(GLOB HEARTLENS_TARGETS RELATIVE "${HEARTLENS_ROOT}/lib" "${HEARTLENS_ROOT}/lib/*-none-*")
        message(FATAL_ERROR "heartlens: set HEARTLENS_TARGET to one of ${HEARTLENS_TARGETS}")
    endif()
    set(HEARTLENS_TARGET host)
endif()

set(HEARTLENS_LIBRARY "${HEARTLENS_ROOT}/lib/${HEARTLENS_TARGET}/libheartlens.a")
if(NOT EXISTS "${HEARTLENS_LIBRARY}")
    message(FATAL_ERROR "heartlens: there is no ${HEARTLENS_LIBRARY}; HEARTLENS_TARGET is ${HEARTLENS_TARGET}")
endif()

if(NOT TARGET heartlens::heartlens)
    add_library(heartlens::heartlens STATIC IMPORTED)
    set_target_properties(heartlens::heartlens PROPERTIES
        IMPORTED_LOCATION "${HEARTLENS_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${HEARTLENS_ROOT}/include"
        IMPORTED_LINK_INTERFACE_LANGUAGES C)
endif()
