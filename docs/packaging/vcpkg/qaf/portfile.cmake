# An overlay port: it takes the sources that it lies in, or those in the environment variable QAF_SOURCE. In a registry
# vcpkg_from_github(...) takes their place.
if(DEFINED ENV{QAF_SOURCE})
  set(SOURCE_PATH "$ENV{QAF_SOURCE}")
else()
  get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../../.." ABSOLUTE)
endif()

set(VCPKG_BUILD_TYPE release)  # headers alone

vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    -DQAF_BUILD_TESTS=OFF
    -DQAF_BUILD_EXAMPLES=OFF
    -DQAF_INSTALL=ON
)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/qaf)
vcpkg_fixup_pkgconfig()

file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
