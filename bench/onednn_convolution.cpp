#include "bench/onednn_convolution.h"

#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>

namespace widthwise {
namespace {

using dnnl::memory;

template <class To>
std::vector<To> narrowed(const std::vector<int32_t>& from) {
  std::vector<To> to;
  for (const int32_t value : from) to.push_back(static_cast<To>(value));
  return to;
}

}  // namespace

class OneDnnConvolution::Impl {
 public:
  Impl(const MatmulWorkload& workload, int64_t images, const std::vector<int32_t>& weights,
       Ofmap ofmap)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    omp_set_num_threads(1);
    const Window& w = workload.window;
    using tag = memory::format_tag;
    using type = memory::data_type;
    const bool grouped = workload.groups > 1;
    plain_ifmap_ = {{images, w.ifmap_channels, w.ifmap_rows, w.ifmap_cols}, type::u8, tag::nchw};
    plain_ofmap_ = {{images, w.ofmap_channels, w.ofmap_rows, w.ofmap_cols},
                    ofmap == Ofmap::kSums ? type::s32 : type::u8,
                    tag::nchw};
    memory::dims shape = {w.ofmap_channels, workload.group_ifmap_channels(), w.kernel_rows,
                          w.kernel_cols};
    if (grouped) {
      shape = {workload.groups, workload.group_ofmap_channels(), workload.group_ifmap_channels(),
               w.kernel_rows, w.kernel_cols};
    }
    const memory::desc plain_weights(shape, type::s8, grouped ? tag::goihw : tag::oihw);
    const auto any = [](const memory::desc& from) {
      return memory::desc(from.dims(), from.data_type(), tag::any);
    };
    const dnnl::convolution_forward::desc desc(
        dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, any(plain_ifmap_),
        any(plain_weights), any(plain_ofmap_), {w.stride_rows, w.stride_cols},
        {w.dilation_rows - 1, w.dilation_cols - 1}, {w.pad_top, w.pad_left},
        {w.pad_bottom, w.pad_right});
    dnnl::primitive_attr rescaling;
    if (ofmap == Ofmap::kCodes) {
      constexpr int kPerChannel = 1 << 1;
      rescaling.set_output_scales(kPerChannel,
                                  std::vector<float>(static_cast<size_t>(w.ofmap_channels), 0.01F));
    }
    const dnnl::convolution_forward::primitive_desc primitive(desc, rescaling, engine_);
    convolution_ = dnnl::convolution_forward(primitive);
    ifmap_ = memory(primitive.src_desc(), engine_);
    ofmap_ = memory(primitive.dst_desc(), engine_);
    weights_ = memory(primitive.weights_desc(), engine_);
    auto codes = narrowed<int8_t>(weights);
    memory from(plain_weights, engine_, codes.data());
    dnnl::reorder(from, weights_).execute(stream_, from, weights_);
    stream_.wait();
  }

  void set_ifmap(const std::vector<int32_t>& codes) {
    auto bytes = narrowed<uint8_t>(codes);
    memory from(plain_ifmap_, engine_, bytes.data());
    dnnl::reorder(from, ifmap_).execute(stream_, from, ifmap_);
    stream_.wait();
  }

  void run() {
    convolution_.execute(
        stream_, {{DNNL_ARG_SRC, ifmap_}, {DNNL_ARG_WEIGHTS, weights_}, {DNNL_ARG_DST, ofmap_}});
    stream_.wait();
  }

  std::vector<int32_t> sums() {
    std::vector<int32_t> values(plain_ofmap_.get_size() / sizeof(int32_t));
    memory to(plain_ofmap_, engine_, values.data());
    dnnl::reorder(ofmap_, to).execute(stream_, ofmap_, to);
    stream_.wait();
    return values;
  }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  memory::desc plain_ifmap_, plain_ofmap_;
  memory ifmap_, weights_, ofmap_;
  dnnl::convolution_forward convolution_;
};

OneDnnConvolution::OneDnnConvolution(const MatmulWorkload& workload, int64_t images,
                                     const std::vector<int32_t>& weights, Ofmap ofmap)
    : impl_(std::make_unique<Impl>(workload, images, weights, ofmap)) {}
OneDnnConvolution::~OneDnnConvolution() = default;
OneDnnConvolution::OneDnnConvolution(OneDnnConvolution&&) noexcept = default;
void OneDnnConvolution::set_ifmap(const std::vector<int32_t>& codes) { impl_->set_ifmap(codes); }
void OneDnnConvolution::run() { impl_->run(); }
std::vector<int32_t> OneDnnConvolution::sums() const { return impl_->sums(); }

}  // namespace widthwise
