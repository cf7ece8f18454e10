# The headers that need a framework, which a machine may lack. They are left out wherever every header is included, and compiled
# alone where what stands beside them compiles (frameworks have their own limits: LibTorch 1.13 is C++20 for g++ only).
set(losskit_framework_headers losskit/adapt/caffe.hpp losskit/adapt/dlib.hpp losskit/adapt/torch.hpp)
set(losskit_framework_of_losskit/adapt/caffe.hpp caffe/layer_factory.hpp)
set(losskit_framework_of_losskit/adapt/torch.hpp ATen/ATen.h)
set(losskit_framework_of_losskit/adapt/dlib.hpp dlib/dnn.h)
