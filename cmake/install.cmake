# The installed package: headers, losskitConfig.cmake, losskit.pc. Nothing in it depends on the architecture.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS losskit EXPORT losskitTargets FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
set(losskit_cmake_dir "${CMAKE_INSTALL_DATADIR}/cmake/losskit")
install(EXPORT losskitTargets NAMESPACE losskit:: DESTINATION "${losskit_cmake_dir}")

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/losskitConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/package/losskitConfig.cmake" INSTALL_DESTINATION "${losskit_cmake_dir}"
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/losskitConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/package/losskitConfig.cmake"
              "${PROJECT_BINARY_DIR}/package/losskitConfigVersion.cmake"
              "${CMAKE_CURRENT_LIST_DIR}/find_eigen.cmake" DESTINATION "${losskit_cmake_dir}")

configure_file("${CMAKE_CURRENT_LIST_DIR}/losskit.pc.in" "${PROJECT_BINARY_DIR}/package/losskit.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/package/losskit.pc" DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig")
