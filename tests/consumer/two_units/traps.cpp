// Every header, between macros that real systems define (complex.h, rpcndr.h, termios.h, Arduino.h, X11's X.h and Xlib.h): none
// of them may be a name of ours. The standard library and third parties come first; theirs are not ours to rename.
#include <Eigen/Core>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>
#include <algorithm>
#include <omp.h>
#define THRUST_DEVICE_SYSTEM THRUST_DEVICE_SYSTEM_CPP
#include <thrust/for_each.h>

#define I losskit_uses_the_macro_I
#define small losskit_uses_the_macro_small
#define B0 losskit_uses_the_macro_B0
#define near losskit_uses_the_macro_near
#define far losskit_uses_the_macro_far
#define interface losskit_uses_the_macro_interface
#define unix losskit_uses_the_macro_unix
#define linux losskit_uses_the_macro_linux
#define None losskit_uses_the_macro_None +
#define Bool losskit_uses_the_macro_Bool +
#define Status losskit_uses_the_macro_Status +
#define True losskit_uses_the_macro_True +
#define False losskit_uses_the_macro_False +
#define Success losskit_uses_the_macro_Success +
#define Always losskit_uses_the_macro_Always +

#include "all_headers.hpp"

int trapped();
int trapped() { return 0; }
