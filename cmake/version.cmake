# losskit_version: major.minor.patch, as include/losskit/core/version.hpp has it.
file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/../include/losskit/core/version.hpp" losskit_version_lines
     REGEX "^#define LOSSKIT_VERSION_(MAJOR|MINOR|PATCH) [0-9]+$")
list(TRANSFORM losskit_version_lines REPLACE "^.* " "")
list(JOIN losskit_version_lines "." losskit_version)
