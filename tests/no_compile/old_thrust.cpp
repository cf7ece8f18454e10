// Debian's Thrust 1.17 stands before CCCL on the include path: it must not be taken silently.
// first error: Thrust is too old: put .*CCCL 3
#include "losskit/backend/thrust.hpp"
