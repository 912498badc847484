#include "models/float_product.h"

#include <omp.h>

#include <dnnl.hpp>
#include <stdexcept>

namespace widthwise {

void transposed_product(const float* a, const float* b, int64_t rows, int64_t stride, int64_t m,
                        int64_t n, float* c) {
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto status = dnnl::sgemm('T', 'N', m, n, rows, 1, a, stride, b, stride, 0, c, n);
  omp_set_num_threads(threads);
  if (status != dnnl::status::success) throw std::logic_error("transposed_product: oneDNN refuses");
}

}  // namespace widthwise
