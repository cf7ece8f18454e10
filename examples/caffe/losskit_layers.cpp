// losskit's layers for Caffe: all that there is to compile. README.md beside it says how.
#include "losskit/adapt/caffe.hpp"

LOSSKIT_REGISTER_CAFFE_LAYERS;
