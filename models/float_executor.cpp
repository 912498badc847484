#include "models/float_executor.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <dnnl.hpp>
#include <stdexcept>

#include "models/float_layout.h"

namespace widthwise {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

// OpenMP's thread count of the calling thread is 1 while this lives.
class OneThread {
 public:
  OneThread() : saved_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(saved_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int saved_;
};

// A primitive with its arguments; its scratchpad is the executor's.
struct Step {
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;
};

memory::desc float_desc(const memory::dims& dims, Tag tag) {
  return {dims, memory::data_type::f32, tag};
}

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

}  // namespace

class FloatExecutor::Impl {
 public:
  Impl(const FloatNetwork& network, int max_batch, std::vector<FakeQuantization> fake)
      : network_(network),
        max_batch_(max_batch),
        fake_(std::move(fake)),
        layouts_(native_layouts(network)),
        engine_(dnnl::engine::kind::cpu, 0),
        stream_(engine_),
        buffers_(plan_buffers(network)) {
    if (max_batch < 1) throw std::logic_error("FloatExecutor: max_batch must be positive");
    fake_.resize(network.tensors.size());
    const OneThread one;
    for (const int64_t elements : buffers_.elements) {
      storage_.emplace_back(static_cast<size_t>(elements * max_batch), 0.0f);
    }
    for (const FloatLayer& layer : network.layers) {
      steps_.emplace_back();
      moves_.emplace_back();
      std::visit([&](const auto& workload) { build(layer, workload); }, layer.workload);
    }
    scratchpad_.resize(scratchpad_bytes_);
    for (size_t i = 0; i < steps_.size(); ++i) {
      if (!steps_[i].arguments.empty())
        steps_[i].arguments.insert(
            {DNNL_ARG_SCRATCHPAD, memory(scratchpads_[i], engine_, scratchpad_.data())});
    }
  }

  std::span<const float> run(std::span<const float> images, int n, const Observer& observer) {
    const int64_t elements = network_.tensor(network_.input).elements();
    if (n < 1 || n > max_batch_ || static_cast<int64_t>(images.size()) != n * elements) {
      throw std::logic_error(
          fmt::format("FloatExecutor: {} values for {} images of {}", images.size(), n, elements));
    }
    const OneThread one;
    const NativeLayout& layout = layouts_[static_cast<size_t>(network_.input)];
    for (int64_t image = 0; image < n; ++image)
      layout.to_native(images.data() + image * elements, data(network_.input) + image * elements);
    quantize(network_.input, n);
    if (observer)
      observer(network_.input, is_fake(network_.input) ? plain(network_.input, n) : images);
    for (size_t i = 0; i < steps_.size(); ++i) {
      const FloatLayer& layer = network_.layers[i];
      if (!steps_[i].arguments.empty()) {
        steps_[i].primitive.execute(stream_, steps_[i].arguments);
        if (std::holds_alternative<MaxPoolWorkload>(layer.workload)) limit(layer, n);
      } else if (const auto* move = std::get_if<MoveWorkload>(&layer.workload)) {
        gather(layer, *move, moves_[i], n);
        limit(layer, n);
      } else {
        elementwise(layer, std::get<ElementwiseWorkload>(layer.workload), n);
      }
      quantize(layer.output, n);
      if (observer) observer(layer.output, plain(layer.output, n));
    }
    stream_.wait();
    return plain(network_.output, n);
  }

  int max_batch() const { return max_batch_; }

 private:
  bool is_fake(int tensor) const { return fake_[static_cast<size_t>(tensor)].scale != 0; }

  void quantize(int tensor, int64_t n) {
    if (!is_fake(tensor)) return;
    const FakeQuantization q = fake_[static_cast<size_t>(tensor)];
    // Adding and taking away 1.5 * 2^23 rounds half to even what is below 2^22.
    constexpr float kRound = 12582912;
    const int64_t elements = network_.tensor(tensor).elements() * n;
    float* values = data(tensor);
    for (int64_t i = 0; i < elements; ++i) {
      const float code = std::min(std::max(values[i] / q.scale, q.low), q.high);
      values[i] = (code + kRound - kRound) * q.scale;
    }
  }

  float* data(int tensor) {
    return storage_[static_cast<size_t>(buffers_.of_tensor[static_cast<size_t>(tensor)])].data();
  }

  // The tensor's first n images in row-major order.
  std::span<const float> plain(int tensor, int64_t n) {
    const NativeLayout& layout = layouts_[static_cast<size_t>(tensor)];
    const int64_t elements = layout.elements();
    plain_.resize(std::max(plain_.size(), static_cast<size_t>(elements * max_batch_)));
    for (int64_t image = 0; image < n; ++image)
      layout.to_plain(data(tensor) + image * elements, plain_.data() + image * elements);
    return {plain_.data(), static_cast<size_t>(n * elements)};
  }

  memory tensor_memory(int tensor, int64_t channels, int64_t rows, int64_t cols) {
    return {float_desc({max_batch_, channels, rows, cols}, Tag::nhwc), engine_, data(tensor)};
  }

  void finish(dnnl::primitive primitive, const memory::desc& scratchpad,
              std::unordered_map<int, memory> arguments) {
    steps_.back() = {std::move(primitive), std::move(arguments)};
    scratchpads_.resize(steps_.size());  // index as steps_
    scratchpads_.back() = scratchpad;
    scratchpad_bytes_ = std::max(scratchpad_bytes_, scratchpad.get_size());
  }

  void build(const FloatLayer& layer, const MatmulWorkload& matmul) {
    const Window& w = matmul.window;
    const int64_t groups = matmul.groups;
    memory src = tensor_memory(layer.inputs[0], w.ifmap_channels, w.ifmap_rows, w.ifmap_cols);
    memory dst = tensor_memory(layer.output, w.ofmap_channels, w.ofmap_rows, w.ofmap_cols);
    const memory::dims kernel = {groups, matmul.group_ofmap_channels(),
                                 matmul.group_ifmap_channels(), w.kernel_rows, w.kernel_cols};
    const memory::dims dense(kernel.begin() + 1, kernel.end());  // for one group
    const memory::dims& dims = groups == 1 ? dense : kernel;
    dnnl::primitive_attr attr = attributes();
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    if (layer.low != -kInfinity || layer.high != kInfinity) {
      constexpr float kLargest = std::numeric_limits<float>::max();
      dnnl::post_ops ops;
      if (layer.low == 0 && layer.high == kInfinity) {
        ops.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
      } else {
        ops.append_eltwise(1, dnnl::algorithm::eltwise_clip, std::max(layer.low, -kLargest),
                           std::min(layer.high, kLargest));
      }
      attr.set_post_ops(ops);
    }
    std::vector<float> bias = layer.bias;
    bias.resize(static_cast<size_t>(w.ofmap_channels), 0.0f);
    const auto bias_desc = float_desc({w.ofmap_channels}, Tag::x);
    const dnnl::convolution_forward::primitive_desc desc(
        {dnnl::prop_kind::forward_inference,
         dnnl::algorithm::convolution_direct,
         src.get_desc(),
         float_desc(dims, Tag::any),
         bias_desc,
         dst.get_desc(),
         {w.stride_rows, w.stride_cols},
         {w.dilation_rows - 1, w.dilation_cols - 1},
         {w.pad_top, w.pad_left},
         {w.pad_bottom, w.pad_right}},
        attr, engine_);
    memory weights(desc.weights_desc(), engine_), biases(bias_desc, engine_);
    memory given(float_desc(dims, groups == 1 ? Tag::oihw : Tag::goihw), engine_,
                 const_cast<float*>(layer.weights.data()));  // read only
    dnnl::reorder(given, weights).execute(stream_, given, weights);
    stream_.wait();
    std::copy(bias.begin(), bias.end(), static_cast<float*>(biases.get_data_handle()));
    finish(dnnl::convolution_forward(desc), desc.scratchpad_desc(),
           {{DNNL_ARG_SRC, src},
            {DNNL_ARG_WEIGHTS, weights},
            {DNNL_ARG_BIAS, biases},
            {DNNL_ARG_DST, dst}});
  }

  void build(const FloatLayer& layer, const MaxPoolWorkload& pool) {
    const Window& w = pool.window;
    memory src = tensor_memory(layer.inputs[0], w.ifmap_channels, w.ifmap_rows, w.ifmap_cols);
    memory dst = tensor_memory(layer.output, w.ofmap_channels, w.ofmap_rows, w.ofmap_cols);
    const dnnl::pooling_v2_forward::primitive_desc desc({dnnl::prop_kind::forward_inference,
                                                         dnnl::algorithm::pooling_max,
                                                         src.get_desc(),
                                                         dst.get_desc(),
                                                         {w.stride_rows, w.stride_cols},
                                                         {w.kernel_rows, w.kernel_cols},
                                                         {w.dilation_rows - 1, w.dilation_cols - 1},
                                                         {w.pad_top, w.pad_left},
                                                         {w.pad_bottom, w.pad_right}},
                                                        attributes(), engine_);
    finish(dnnl::pooling_v2_forward(desc), desc.scratchpad_desc(),
           {{DNNL_ARG_SRC, src}, {DNNL_ARG_DST, dst}});
  }

  void build(const FloatLayer&, const ElementwiseWorkload&) {}
  void build(const FloatLayer& layer, const MoveWorkload& move) {
    std::vector<NativeLayout> inputs;
    for (const int tensor : layer.inputs) inputs.push_back(layouts_[static_cast<size_t>(tensor)]);
    moves_.back() = native_runs(move, inputs, layouts_[static_cast<size_t>(layer.output)]);
  }

  void gather(const FloatLayer& layer, const MoveWorkload& move, const std::vector<MoveRun>& runs,
              int64_t n) {
    const auto elements = static_cast<int64_t>(move.source.size());
    for (int64_t image = 0; image < n; ++image) {
      float* to = data(layer.output) + image * elements;
      for (const MoveRun& run : runs) {
        const float* from =
            data(layer.inputs[run.input]) + image * move.input_elements[run.input] + run.from;
        for (int64_t i = 0; i < run.length; ++i) to[run.to + i] = from[i];
      }
    }
  }

  void elementwise(const FloatLayer& layer, const ElementwiseWorkload& workload, int64_t n) {
    const int64_t elements = workload.elements * n;
    const float* first = data(layer.inputs[0]);
    float* to = data(layer.output);
    if (workload.kind == ElementwiseWorkload::Kind::kAdd) {
      const float* second = data(layer.inputs[1]);
      for (int64_t i = 0; i < elements; ++i) to[i] = first[i] + second[i];
    } else {
      std::copy(first, first + elements, to);
    }
    limit(layer, n);
  }

  void limit(const FloatLayer& layer, int64_t n) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    if (layer.low == -kInfinity && layer.high == kInfinity) return;
    const int64_t elements = network_.tensor(layer.output).elements() * n;
    const float low = layer.low, high = layer.high;
    float* values = data(layer.output);
    for (int64_t i = 0; i < elements; ++i) values[i] = std::min(std::max(values[i], low), high);
  }

  const FloatNetwork& network_;
  int max_batch_;
  std::vector<FakeQuantization> fake_;  // per tensor
  std::vector<NativeLayout> layouts_;   // per tensor
  dnnl::engine engine_;
  dnnl::stream stream_;
  BufferPlan buffers_;
  std::vector<std::vector<float>> storage_;
  std::vector<Step> steps_;  // per layer; empty for moves and element-wise layers
  std::vector<std::vector<MoveRun>> moves_;
  std::vector<memory::desc> scratchpads_;
  size_t scratchpad_bytes_ = 0;
  std::vector<std::byte> scratchpad_;
  std::vector<float> plain_;
};

FloatExecutor::FloatExecutor(const FloatNetwork& network, int max_batch,
                             std::vector<FakeQuantization> fake)
    : impl_(std::make_unique<Impl>(network, max_batch, std::move(fake))) {}
FloatExecutor::~FloatExecutor() = default;
FloatExecutor::FloatExecutor(FloatExecutor&&) noexcept = default;

std::span<const float> FloatExecutor::run(std::span<const float> images, int n,
                                          const Observer& observer) {
  return impl_->run(images, n, observer);
}

int FloatExecutor::max_batch() const { return impl_->max_batch(); }

}  // namespace widthwise
