// Every call of a margin softmax on a GPU, for every length of row, against serial in double. TYPE: the stored type; without it, all
// four (./dev gpu compiles them side by side).
#include "compare.cuh"

using namespace test;

TEST_CASE_TEMPLATE("every call agrees with serial in double at every length of row", S, TYPES) {
  MarginSoftmax const loss{ArcMargin{0.5}, 32.0};
  // Beside the borders: a warp's longest row in floats is 1,277; 10,575 and 93,431 classes are data sets, and take shared memory that no
  // default allows (as bfloat16, as float).
  for (idx cols : {1, 2, 31, 33, 1000, 1024, 1277, 1278, 4097, 10575, 12000, 18001, 20000, 24000, 48000, 50003, 93431, 100003})
    compare<S>(loss, 5, cols);
  for (idx cols : {33, 4097})
    for (idx offset : {0, 1, 3})
      for (idx other : {0, 1, 2}) compare<S>(loss, 3, cols, 1 + offset, offset, other);
  compare<S>(loss, 300, 1000, 3);
}
