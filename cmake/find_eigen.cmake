# losskit_find_eigen(QUIET|REQUIRED): Eigen 3.4 or 5 as the target Eigen3::Eigen, unless there is one already.
#
# It takes two questions. Eigen 3.4.1 and later want the range, for them 3.4 alone is no 5; Eigen 3.4.0 refuses any range over two
# majors. A question that finds nothing forgets Eigen3_DIR in the cache: one that the user gave is put back.
function(losskit_find_eigen mode)
  if(TARGET Eigen3::Eigen)
    return()
  endif()
  set(given "${Eigen3_DIR}")
  find_package(Eigen3 3.4...5 QUIET NO_MODULE)
  if(NOT TARGET Eigen3::Eigen)
    set(Eigen3_DIR "${given}" CACHE PATH "The folder of Eigen3Config.cmake" FORCE)
    find_package(Eigen3 3.4 ${mode} NO_MODULE)
  endif()
endfunction()
