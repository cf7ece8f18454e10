// A stand-in for the few types of BVLC Caffe that a layer needs, so that losskit's layers are compiled and run without it. Only members
// that Caffe has, with its signatures; memory is on the CPU, and the protocol buffers are plain structs with protobuf's accessors.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

// --- glog: the log, whose FATAL ends the process ---------------------------------------------------------------------------------------

namespace google {

enum Severity { INFO, WARNING, ERROR, FATAL };

class LogMessage {
 public:
  LogMessage(char const* file, int line, Severity severity) : severity_(severity) {
    stream_ << "IWEF"[severity] << ' ' << file << ':' << line << "] ";
  }
  ~LogMessage() {
    if (severity_ < WARNING) return;
    std::cerr << stream_.str() << std::endl;
    if (severity_ == FATAL) std::abort();
  }
  std::ostream& stream() { return stream_; }

 private:
  Severity severity_;
  std::ostringstream stream_;
};

}  // namespace google

#define LOG(severity) ::google::LogMessage(__FILE__, __LINE__, ::google::severity).stream()
#define CHECK(condition) \
  if (condition) {       \
  } else                 \
    LOG(FATAL) << "Check failed: " #condition " "
#define CHECK_EQ(a, b) CHECK((a) == (b)) << "(" << (a) << " vs. " << (b) << ") "
#define CHECK_LE(a, b) CHECK((a) <= (b)) << "(" << (a) << " vs. " << (b) << ") "
#define CHECK_GE(a, b) CHECK((a) >= (b)) << "(" << (a) << " vs. " << (b) << ") "
#define CHECK_LT(a, b) CHECK((a) < (b)) << "(" << (a) << " vs. " << (b) << ") "

namespace caffe {

using std::shared_ptr;
using std::string;
using std::vector;

// --- messages of caffe.proto -----------------------------------------------------------------------------------------------------------

// optional TYPE NAME = DEFAULT, a number or an enum; a text; a message; repeated numbers; repeated messages.
#define STAND_IN_NUMBER(TYPE, NAME, DEFAULT)   \
 private:                                      \
  TYPE NAME##_ = DEFAULT;                      \
  bool has_##NAME##_ = false;                  \
                                               \
 public:                                       \
  bool has_##NAME() const { return has_##NAME##_; } \
  TYPE NAME() const { return NAME##_; }        \
  void set_##NAME(TYPE value) { NAME##_ = value, has_##NAME##_ = true; }
#define STAND_IN_TEXT(NAME, DEFAULT)           \
 private:                                      \
  string NAME##_ = DEFAULT;                    \
                                               \
 public:                                       \
  string const& NAME() const { return NAME##_; } \
  void set_##NAME(string const& value) { NAME##_ = value; }
#define STAND_IN_MESSAGE(TYPE, NAME)           \
 private:                                      \
  TYPE NAME##_;                                \
                                               \
 public:                                       \
  TYPE const& NAME() const { return NAME##_; } \
  TYPE* mutable_##NAME() { return &NAME##_; }
#define STAND_IN_NUMBERS(TYPE, NAME)           \
 private:                                      \
  vector<TYPE> NAME##_;                        \
                                               \
 public:                                       \
  int NAME##_size() const { return static_cast<int>(NAME##_.size()); } \
  TYPE NAME(int i) const { return NAME##_.at(static_cast<std::size_t>(i)); } \
  void add_##NAME(TYPE value) { NAME##_.push_back(value); } \
  void clear_##NAME() { NAME##_.clear(); }
#define STAND_IN_MESSAGES(TYPE, NAME)          \
 private:                                      \
  vector<TYPE> NAME##_;                        \
                                               \
 public:                                       \
  int NAME##_size() const { return static_cast<int>(NAME##_.size()); } \
  TYPE const& NAME(int i) const { return NAME##_.at(static_cast<std::size_t>(i)); } \
  TYPE* add_##NAME() { return &NAME##_.emplace_back(); } \
  void clear_##NAME() { NAME##_.clear(); }

enum Phase { TRAIN = 0, TEST = 1 };
enum LossParameter_NormalizationMode {
  LossParameter_NormalizationMode_FULL = 0,
  LossParameter_NormalizationMode_VALID = 1,
  LossParameter_NormalizationMode_BATCH_SIZE = 2,
  LossParameter_NormalizationMode_NONE = 3
};

class BlobShape {
  STAND_IN_NUMBERS(std::int64_t, dim)
};
class BlobProto {
  STAND_IN_MESSAGE(BlobShape, shape)
  STAND_IN_NUMBERS(float, data)
  STAND_IN_NUMBERS(double, double_data)
};
class FillerParameter {
  STAND_IN_TEXT(type, "constant")
  STAND_IN_NUMBER(float, value, 0)
  STAND_IN_NUMBER(float, min, 0)
  STAND_IN_NUMBER(float, max, 1)
  STAND_IN_NUMBER(float, mean, 0)
  STAND_IN_NUMBER(float, std, 1)
};
class InnerProductParameter {
  STAND_IN_NUMBER(std::uint32_t, num_output, 0)
  STAND_IN_NUMBER(bool, bias_term, true)
  STAND_IN_MESSAGE(FillerParameter, weight_filler)
  STAND_IN_NUMBER(std::int32_t, axis, 1)
  STAND_IN_NUMBER(bool, transpose, false)
};
class LossParameter {
  STAND_IN_NUMBER(std::int32_t, ignore_label, 0)
  STAND_IN_NUMBER(LossParameter_NormalizationMode, normalization, LossParameter_NormalizationMode_VALID)
  STAND_IN_NUMBER(bool, normalize, false)
};
class PythonParameter {
  STAND_IN_TEXT(param_str, "")
};
class ParamSpec {
  STAND_IN_TEXT(name, "")
  STAND_IN_NUMBER(float, lr_mult, 1)
  STAND_IN_NUMBER(float, decay_mult, 1)
};
class LayerParameter {
  STAND_IN_TEXT(name, "")
  STAND_IN_TEXT(type, "")
  STAND_IN_NUMBER(Phase, phase, TRAIN)
  STAND_IN_NUMBERS(float, loss_weight)
  STAND_IN_MESSAGES(ParamSpec, param)
  STAND_IN_MESSAGES(BlobProto, blobs)
  STAND_IN_MESSAGE(LossParameter, loss_param)
  STAND_IN_MESSAGE(InnerProductParameter, inner_product_param)
  STAND_IN_MESSAGE(PythonParameter, python_param)

 public:
  void Clear() { *this = LayerParameter(); }
  void CopyFrom(LayerParameter const& from) { *this = from; }
};

// --- blobs -----------------------------------------------------------------------------------------------------------------------------

template <typename Dtype>
class Blob {
 public:
  Blob() = default;
  explicit Blob(const int num, const int channels, const int height, const int width) { Reshape(num, channels, height, width); }
  explicit Blob(const vector<int>& shape) { Reshape(shape); }
  Blob(const Blob&) = delete;
  Blob& operator=(const Blob&) = delete;

  void Reshape(const int num, const int channels, const int height, const int width) { Reshape(vector<int>{num, channels, height, width}); }
  void Reshape(const vector<int>& shape) {
    count_ = 1;
    for (int const n : shape) count_ *= n;
    shape_ = shape;
    if (static_cast<std::size_t>(count_) > data_.size()) {
      data_.assign(static_cast<std::size_t>(count_), Dtype(0));
      diff_.assign(static_cast<std::size_t>(count_), Dtype(0));
    }
  }
  void ReshapeLike(const Blob& other) { Reshape(other.shape()); }
  string shape_string() const {
    std::ostringstream stream;
    for (int const n : shape_) stream << n << " ";
    stream << "(" << count_ << ")";
    return stream.str();
  }
  const vector<int>& shape() const { return shape_; }
  int shape(int index) const { return shape_[static_cast<std::size_t>(CanonicalAxisIndex(index))]; }
  int num_axes() const { return static_cast<int>(shape_.size()); }
  int count() const { return count_; }
  int count(int start_axis, int end_axis) const {
    CHECK_LE(start_axis, end_axis);
    CHECK_GE(start_axis, 0);
    CHECK_LE(end_axis, num_axes());
    int n = 1;
    for (int i = start_axis; i < end_axis; ++i) n *= shape(i);
    return n;
  }
  int count(int start_axis) const { return count(start_axis, num_axes()); }
  int CanonicalAxisIndex(int axis_index) const {
    CHECK_GE(axis_index, -num_axes());
    CHECK_LT(axis_index, num_axes());
    return axis_index < 0 ? axis_index + num_axes() : axis_index;
  }

  const Dtype* cpu_data() const { return data_.data(); }
  const Dtype* cpu_diff() const { return diff_.data(); }
  Dtype* mutable_cpu_data() { return data_.data(); }
  Dtype* mutable_cpu_diff() { return diff_.data(); }

  void FromProto(const BlobProto& proto, bool reshape = true) {
    vector<int> shape;
    for (int i = 0; i < proto.shape().dim_size(); ++i) shape.push_back(static_cast<int>(proto.shape().dim(i)));
    if (reshape) Reshape(shape);
    CHECK(shape_ == shape) << "shape mismatch (reshape not set)";
    bool const doubles = proto.double_data_size() > 0;
    CHECK_EQ(count_, doubles ? proto.double_data_size() : proto.data_size());
    for (int i = 0; i < count_; ++i)
      mutable_cpu_data()[i] = doubles ? static_cast<Dtype>(proto.double_data(i)) : static_cast<Dtype>(proto.data(i));
  }
  void ToProto(BlobProto* proto, bool = false) const {
    proto->mutable_shape()->clear_dim();
    for (int const n : shape_) proto->mutable_shape()->add_dim(n);
    proto->clear_data();
    proto->clear_double_data();
    for (int i = 0; i < count_; ++i) {
      if constexpr (sizeof(Dtype) == sizeof(double)) proto->add_double_data(cpu_data()[i]);
      else proto->add_data(cpu_data()[i]);
    }
  }

 private:
  vector<Dtype> data_, diff_;
  vector<int> shape_;
  int count_ = 0;
};

// --- the process -----------------------------------------------------------------------------------------------------------------------

class Caffe {
 public:
  enum Brew { CPU, GPU };
  static Brew mode() { return CPU; }
  static void set_random_seed(const unsigned int seed) { stand_in_generator().seed(seed); }
  static std::mt19937& stand_in_generator() {
    static std::mt19937 generator(1701);
    return generator;
  }
};

template <typename Dtype>
void caffe_set(const int N, const Dtype alpha, Dtype* X) {
  for (int i = 0; i < N; ++i) X[i] = alpha;
}
template <typename Dtype>
Dtype caffe_cpu_dot(const int n, const Dtype* x, const Dtype* y) {
  Dtype sum = 0;
  for (int i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

// --- layers ----------------------------------------------------------------------------------------------------------------------------

template <typename Dtype>
class Layer {
 public:
  explicit Layer(const LayerParameter& param) : layer_param_(param), phase_(param.phase()) {
    for (int i = 0; i < param.blobs_size(); ++i) {
      blobs_.emplace_back(new Blob<Dtype>());
      blobs_.back()->FromProto(param.blobs(i));
    }
  }
  virtual ~Layer() {}
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  void SetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
    CheckBlobCounts(bottom, top);
    LayerSetUp(bottom, top);
    Reshape(bottom, top);
    SetLossWeights(top);
  }
  virtual void LayerSetUp(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) {}
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) = 0;

  Dtype Forward(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
    Dtype loss_sum = 0;
    Reshape(bottom, top);
    Forward_cpu(bottom, top);
    for (int i = 0; i < static_cast<int>(top.size()); ++i)
      if (loss(i) != Dtype(0)) {
        Blob<Dtype> const& blob = *top[static_cast<std::size_t>(i)];
        loss_sum += caffe_cpu_dot(blob.count(), blob.cpu_data(), blob.cpu_diff());
      }
    return loss_sum;
  }
  void Backward(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down, const vector<Blob<Dtype>*>& bottom) {
    Backward_cpu(top, propagate_down, bottom);
  }

  vector<shared_ptr<Blob<Dtype>>>& blobs() { return blobs_; }
  const LayerParameter& layer_param() const { return layer_param_; }
  virtual void ToProto(LayerParameter* param, bool write_diff = false) {
    param->Clear();
    param->CopyFrom(layer_param_);
    param->clear_blobs();
    for (auto const& blob : blobs_) blob->ToProto(param->add_blobs(), write_diff);
  }
  Dtype loss(const int top_index) const {
    auto const at = static_cast<std::size_t>(top_index);
    return at < loss_.size() ? loss_[at] : Dtype(0);
  }
  void set_loss(const int top_index, const Dtype value) {
    auto const at = static_cast<std::size_t>(top_index);
    if (at >= loss_.size()) loss_.resize(at + 1, Dtype(0));
    loss_[at] = value;
  }

  virtual const char* type() const { return ""; }
  virtual int ExactNumBottomBlobs() const { return -1; }
  virtual int MinBottomBlobs() const { return -1; }
  virtual int MaxBottomBlobs() const { return -1; }
  virtual int ExactNumTopBlobs() const { return -1; }
  virtual int MinTopBlobs() const { return -1; }
  virtual int MaxTopBlobs() const { return -1; }
  virtual bool EqualNumBottomTopBlobs() const { return false; }
  virtual bool AutoTopBlobs() const { return false; }
  virtual bool AllowForceBackward(const int) const { return true; }
  bool param_propagate_down(const int param_id) {
    auto const at = static_cast<std::size_t>(param_id);
    return at < param_propagate_down_.size() && param_propagate_down_[at];
  }
  void set_param_propagate_down(const int param_id, const bool value) {
    auto const at = static_cast<std::size_t>(param_id);
    if (at >= param_propagate_down_.size()) param_propagate_down_.resize(at + 1, true);
    param_propagate_down_[at] = value;
  }

 protected:
  LayerParameter layer_param_;
  Phase phase_;
  vector<shared_ptr<Blob<Dtype>>> blobs_;
  vector<bool> param_propagate_down_;
  vector<Dtype> loss_;

  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) = 0;
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) { Forward_cpu(bottom, top); }
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down, const vector<Blob<Dtype>*>& bottom) = 0;
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down, const vector<Blob<Dtype>*>& bottom) {
    Backward_cpu(top, propagate_down, bottom);
  }
  virtual void CheckBlobCounts(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
    int const bottoms = static_cast<int>(bottom.size()), tops = static_cast<int>(top.size());
    if (ExactNumBottomBlobs() >= 0) { CHECK_EQ(ExactNumBottomBlobs(), bottoms) << type() << " Layer: bottom blobs"; }
    if (MinBottomBlobs() >= 0) { CHECK_LE(MinBottomBlobs(), bottoms) << type() << " Layer: bottom blobs"; }
    if (MaxBottomBlobs() >= 0) { CHECK_GE(MaxBottomBlobs(), bottoms) << type() << " Layer: bottom blobs"; }
    if (ExactNumTopBlobs() >= 0) { CHECK_EQ(ExactNumTopBlobs(), tops) << type() << " Layer: top blobs"; }
    if (MinTopBlobs() >= 0) { CHECK_LE(MinTopBlobs(), tops) << type() << " Layer: top blobs"; }
    if (MaxTopBlobs() >= 0) { CHECK_GE(MaxTopBlobs(), tops) << type() << " Layer: top blobs"; }
  }
  void SetLossWeights(const vector<Blob<Dtype>*>& top) {
    if (layer_param_.loss_weight_size() == 0) return;
    CHECK_EQ(static_cast<int>(top.size()), layer_param_.loss_weight_size()) << "loss_weight must be once per top blob";
    for (int i = 0; i < layer_param_.loss_weight_size(); ++i) {
      Dtype const weight = static_cast<Dtype>(layer_param_.loss_weight(i));
      if (weight == Dtype(0)) continue;
      set_loss(i, weight);
      Blob<Dtype>& blob = *top[static_cast<std::size_t>(i)];
      caffe_set(blob.count(), weight, blob.mutable_cpu_diff());
    }
  }
};

template <typename Dtype>
class LossLayer : public Layer<Dtype> {
 public:
  explicit LossLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) override {
    if (this->layer_param_.loss_weight_size() == 0) this->layer_param_.add_loss_weight(1);
  }
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override {
    CHECK_EQ(bottom[0]->shape(0), bottom[1]->shape(0)) << "The data and label should have the same first dimension.";
    top[0]->Reshape(vector<int>());
  }
  int ExactNumBottomBlobs() const override { return 2; }
  bool AutoTopBlobs() const override { return true; }
  int ExactNumTopBlobs() const override { return 1; }
  bool AllowForceBackward(const int bottom_index) const override { return bottom_index != 1; }
};

template <typename Dtype>
class LayerRegistry {
 public:
  typedef shared_ptr<Layer<Dtype>> (*Creator)(const LayerParameter&);
  typedef std::map<string, Creator> CreatorRegistry;

  static CreatorRegistry& Registry() {
    static CreatorRegistry registry;
    return registry;
  }
  static void AddCreator(const string& type, Creator creator) {
    CHECK_EQ(Registry().count(type), 0U) << "Layer type " << type << " already registered.";
    Registry()[type] = creator;
  }
  static shared_ptr<Layer<Dtype>> CreateLayer(const LayerParameter& param) {
    CHECK_EQ(Registry().count(param.type()), 1U) << "Unknown layer type: " << param.type();
    return Registry()[param.type()](param);
  }
  static vector<string> LayerTypeList() {
    vector<string> types;
    for (auto const& [type, creator] : Registry()) types.push_back(type);
    return types;
  }
};

template <typename Dtype>
class LayerRegisterer {
 public:
  LayerRegisterer(const string& type, shared_ptr<Layer<Dtype>> (*creator)(const LayerParameter&)) {
    LayerRegistry<Dtype>::AddCreator(type, creator);
  }
};

#define REGISTER_LAYER_CREATOR(type, creator)                              \
  static LayerRegisterer<float> g_creator_f_##type(#type, creator<float>); \
  static LayerRegisterer<double> g_creator_d_##type(#type, creator<double>)
#define REGISTER_LAYER_CLASS(type)                                             \
  template <typename Dtype>                                                    \
  shared_ptr<Layer<Dtype>> Creator_##type##Layer(const LayerParameter& param) { \
    return shared_ptr<Layer<Dtype>>(new type##Layer<Dtype>(param));            \
  }                                                                            \
  REGISTER_LAYER_CREATOR(type, Creator_##type##Layer)

// --- fillers ---------------------------------------------------------------------------------------------------------------------------

template <typename Dtype>
class Filler {
 public:
  explicit Filler(const FillerParameter& param) : filler_param_(param) {}
  virtual ~Filler() {}
  virtual void Fill(Blob<Dtype>* blob) = 0;

 protected:
  FillerParameter filler_param_;
};

// constant, uniform, gaussian, and xavier by FAN_IN.
template <typename Dtype>
class StandInFiller : public Filler<Dtype> {
 public:
  using Filler<Dtype>::Filler;
  void Fill(Blob<Dtype>* blob) override {
    FillerParameter const& p = this->filler_param_;
    double const reach = std::sqrt(3.0 / blob->count(1));
    std::uniform_real_distribution<double> uniform(p.type() == "xavier" ? -reach : double(p.min()), p.type() == "xavier" ? reach : double(p.max()));
    std::normal_distribution<double> gaussian(double(p.mean()), double(p.std()));
    for (int i = 0; i < blob->count(); ++i)
      blob->mutable_cpu_data()[i] = static_cast<Dtype>(p.type() == "constant"   ? double(p.value())
                                                       : p.type() == "gaussian" ? gaussian(Caffe::stand_in_generator())
                                                                                : uniform(Caffe::stand_in_generator()));
  }
};

template <typename Dtype>
Filler<Dtype>* GetFiller(const FillerParameter& param) {
  string const& type = param.type();
  CHECK(type == "constant" || type == "uniform" || type == "gaussian" || type == "xavier") << "Unknown filler name: " << type;
  return new StandInFiller<Dtype>(param);
}

}  // namespace caffe
