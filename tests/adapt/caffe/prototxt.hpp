// Caffe's text files, as far as losskit's layers go: protobuf's text format into the stand-in's LayerParameter. A field that a losskit
// layer does not read is an error, so that no example says what nothing does; other layers keep their names and blobs only.
#pragma once
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "caffe/layer_factory.hpp"

namespace prototxt {

// A message: its fields in order, each a number, a word or a text, or a message of its own.
struct Message;
struct Field {
  std::string name, value;
  std::vector<Message> message;  // one, or none
};
struct Message {
  std::vector<Field> fields;
};

class Reader {
 public:
  explicit Reader(std::string text) : text_(std::move(text)) {}
  Message all() {
    Message const message = fields();
    if (at_ != text_.size()) wrong("a } too many");
    return message;
  }

 private:
  [[noreturn]] void wrong(std::string const& what) const {
    std::size_t line = 1;
    for (std::size_t i = 0; i < at_ && i < text_.size(); ++i) line += text_[i] == '\n';
    throw std::runtime_error("line " + std::to_string(line) + ": " + what);
  }
  char next() {  // past blanks, comments and the separators , and ;
    while (at_ < text_.size()) {
      char const c = text_[at_];
      if (c == '#') at_ = std::min(text_.find('\n', at_), text_.size());
      else if (std::isspace(static_cast<unsigned char>(c)) || c == ',' || c == ';') ++at_;
      else return c;
    }
    return '\0';
  }
  std::string word() {
    std::string w;
    next();
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || std::string("_.+-").find(text_[at_]) < 4))
      w += text_[at_++];
    if (w.empty()) wrong("a word or a number is missing");
    return w;
  }
  std::string quoted() {  // neighbouring texts are one
    std::string all;
    for (char quote = next(); quote == '"' || quote == '\''; quote = next()) {
      std::size_t const end = text_.find(quote, at_ + 1);
      if (end == text_.npos) wrong("a text that never ends");
      all += text_.substr(at_ + 1, end - at_ - 1);
      at_ = end + 1;
    }
    return all;
  }
  Message fields() {
    Message m;
    for (char c = next(); c != '\0' && c != '}'; c = next()) {
      Field f;
      f.name = word();
      bool const colon = next() == ':';
      if (colon) ++at_;
      c = next();
      if (c == '{') {
        ++at_;
        f.message.push_back(fields());
        if (next() != '}') wrong("a } is missing");
        ++at_;
      } else if (!colon) {
        wrong("a : is missing");
      } else {
        f.value = c == '"' || c == '\'' ? quoted() : word();
      }
      m.fields.push_back(f);
    }
    return m;
  }

  std::string text_;
  std::size_t at_ = 0;
};

// A layer of a net: what Caffe hands to it, and the names of its blobs; `dims` is an Input layer's first shape.
struct Layer {
  caffe::LayerParameter param;
  std::vector<std::string> bottoms, tops;
  std::vector<std::vector<int>> shapes;
};

inline void unknown(std::string const& where, Field const& f) { throw std::runtime_error(where + ": nothing reads `" + f.name + "`"); }
inline bool truth(std::string const& word) { return word == "true" || word == "1"; }

inline void read_filler(caffe::FillerParameter* p, Message const& m) {
  for (Field const& f : m.fields) {
    if (f.name == "type") p->set_type(f.value);
    else if (f.name == "value") p->set_value(std::stof(f.value));
    else if (f.name == "min") p->set_min(std::stof(f.value));
    else if (f.name == "max") p->set_max(std::stof(f.value));
    else if (f.name == "mean") p->set_mean(std::stof(f.value));
    else if (f.name == "std") p->set_std(std::stof(f.value));
    else unknown("filler", f);
  }
}
inline void read_inner_product(caffe::InnerProductParameter* p, Message const& m) {
  for (Field const& f : m.fields) {
    if (f.name == "num_output") p->set_num_output(static_cast<unsigned>(std::stoul(f.value)));
    else if (f.name == "bias_term") p->set_bias_term(truth(f.value));
    else if (f.name == "axis") p->set_axis(std::stoi(f.value));
    else if (f.name == "transpose") p->set_transpose(truth(f.value));
    else if (f.name == "weight_filler") read_filler(p->mutable_weight_filler(), f.message.at(0));
    else unknown("inner_product_param", f);
  }
}
inline void read_loss(caffe::LossParameter* p, Message const& m) {
  for (Field const& f : m.fields) {
    if (f.name == "ignore_label") p->set_ignore_label(std::stoi(f.value));
    else if (f.name == "normalize") p->set_normalize(truth(f.value));
    else if (f.name == "normalization" && f.value == "FULL") p->set_normalization(caffe::LossParameter_NormalizationMode_FULL);
    else if (f.name == "normalization" && f.value == "VALID") p->set_normalization(caffe::LossParameter_NormalizationMode_VALID);
    else if (f.name == "normalization" && f.value == "BATCH_SIZE") p->set_normalization(caffe::LossParameter_NormalizationMode_BATCH_SIZE);
    else if (f.name == "normalization" && f.value == "NONE") p->set_normalization(caffe::LossParameter_NormalizationMode_NONE);
    else unknown("loss_param", f);
  }
}
inline void read_spec(caffe::ParamSpec* p, Message const& m) {
  for (Field const& f : m.fields) {
    if (f.name == "name") p->set_name(f.value);
    else if (f.name == "lr_mult") p->set_lr_mult(std::stof(f.value));
    else if (f.name == "decay_mult") p->set_decay_mult(std::stof(f.value));
    else unknown("param", f);
  }
}

inline Layer layer_of(Message const& m) {
  Layer layer;
  std::string type;
  for (Field const& f : m.fields)
    if (f.name == "type") type = f.value;
  bool const ours = type.starts_with("Losskit");
  caffe::LayerParameter& p = layer.param;
  for (Field const& f : m.fields) {
    if (f.name == "name") p.set_name(f.value);
    else if (f.name == "type") p.set_type(f.value);
    else if (f.name == "bottom") layer.bottoms.push_back(f.value);
    else if (f.name == "top") layer.tops.push_back(f.value);
    else if (f.name == "phase") p.set_phase(f.value == "TEST" ? caffe::TEST : caffe::TRAIN);
    else if (f.name == "loss_weight") p.add_loss_weight(std::stof(f.value));
    else if (f.name == "param") read_spec(p.add_param(), f.message.at(0));
    else if (f.name == "loss_param") read_loss(p.mutable_loss_param(), f.message.at(0));
    else if (f.name == "inner_product_param" && ours) read_inner_product(p.mutable_inner_product_param(), f.message.at(0));
    else if (f.name == "python_param" && ours) {
      for (Field const& g : f.message.at(0).fields) {
        if (g.name == "param_str") p.mutable_python_param()->set_param_str(g.value);
        else unknown("python_param", g);
      }
    } else if (f.name == "input_param" && type == "Input") {
      for (Field const& shape : f.message.at(0).fields) {
        layer.shapes.emplace_back();
        for (Field const& dim : shape.message.at(0).fields) layer.shapes.back().push_back(std::stoi(dim.value));
      }
    } else if (ours) {
      unknown(type, f);
    }
  }
  return layer;
}

// One layer, from the fields inside its braces.
inline caffe::LayerParameter layer(std::string const& text) { return layer_of(Reader(text).all()).param; }

// The layers of a net.
inline std::vector<Layer> net(std::string const& text) {
  std::vector<Layer> layers;
  for (Field const& f : Reader(text).all().fields) {
    if (f.name == "layer") layers.push_back(layer_of(f.message.at(0)));
    else if (f.name != "name") unknown("net", f);
  }
  return layers;
}

}  // namespace prototxt
