// Thrust's device system is CUDA, in a unit that nvcc does not compile.
// first error: needs nvcc
#ifdef MISTAKE
#define THRUST_DEVICE_SYSTEM THRUST_DEVICE_SYSTEM_CUDA
#endif
#include "losskit/backend/thrust.hpp"
