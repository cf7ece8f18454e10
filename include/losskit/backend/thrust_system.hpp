// Which Thrust, and which of its systems. CCCL 3 or later (a CUDA toolkit's include/cccl, or the wheel nvidia-cuda-cccl), put on the
// include path before /usr/include, where Debian keeps a Thrust that is too old.
//
// Thrust's own default is CUDA. Without nvcc this header makes it CPP, unless THRUST_DEVICE_SYSTEM is set.
#pragma once
#if !defined(__CUDACC__) && !defined(THRUST_DEVICE_SYSTEM)
#define THRUST_DEVICE_SYSTEM THRUST_DEVICE_SYSTEM_CPP
#endif
#include <thrust/detail/config.h>
#include <thrust/version.h>
#if THRUST_VERSION < 300000
#error "losskit: this Thrust is too old: put the include folder of CCCL 3 or later first (-isystem <cuda>/include/cccl)"
#elif !defined(__CUDACC__) && THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
#error "losskit: Thrust's device system is CUDA, which needs nvcc: set THRUST_DEVICE_SYSTEM, or include this header first"
#else
#define LOSSKIT_HAS_THRUST
#endif
