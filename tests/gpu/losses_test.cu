// Losses that take other ways through the row than a margin softmax of one margin: plain logits, sums that policies ask for, a rest rule
// that bends, a margin for each row. Against serial in double.
#include "compare.cuh"

using namespace test;

TEST_CASE_TEMPLATE("plain logits", S, float, double, __half) {
  for (idx cols : {1, 33, 5000, 40000}) compare<S>(SoftmaxLoss{}, 4, cols, 0, 0, 0, {.largest = 40});
}

TEST_CASE("label smoothing: e is kept, or not, where r' varies") {
  for (idx cols : {1, 33, 5000, 40000}) {
    compare<float>(SoftmaxLoss{LabelSmoothing{0.1}}, 4, cols, 3, 1, 1, {.largest = 8});
    compare<float>(MarginSoftmax{ArcMargin{0.5}, 32.0, LabelSmoothing{0.1}}, 4, cols);
    compare<float>(MarginSoftmax{ArcMargin{0.5}, 16.0, LabelSmoothing{0.1}, HardNegatives{0.2}}, 4, cols);
  }
}

TEST_CASE("a rest rule that bends the hard classes") {
  for (idx cols : {33, 5000, 40000}) compare<float>(MarginSoftmax{ArcMargin{0.5}, 32.0, CrossEntropy{}, CurricularRest{0.3}}, 4, cols);
}

TEST_CASE("a margin for each row, and the gradient by it") {
  for (idx cols : {33, 5000, 40000}) {
    compare<float>(MarginSoftmax{ArcMargin{0.5}, 32.0}, 4, cols, 0, 0, 0, {.margins = true});
    compare<float>(MarginSoftmax{CosMargin{0.35}, 200.0}, 4, cols, 0, 0, 0, {.margins = true});
  }
}
