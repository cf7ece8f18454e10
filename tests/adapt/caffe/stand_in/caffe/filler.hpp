#include "caffe/stand_in.hpp"
