// prepare_images <preprocessing.yaml> <channels> <out folder> <image>...
// Decodes, resizes and crops each image and writes <out folder>/<i>.npy, u1 [channels, rows, cols],
// or <i>.txt with the message of a refused one. For compare_pil.py.
#include <cstdio>
#include <fstream>

#include "core/error.h"
#include "models/input_file.h"
#include "models/npy.h"
#include "models/preprocessing.h"

int main(int argc, char** argv) {
  using namespace widthwise;
  if (argc < 5) {
    std::fputs("prepare_images <preprocessing.yaml> <channels> <out folder> <image>...\n", stderr);
    return 1;
  }
  const Preprocessing preprocessing = load_preprocessing(argv[1]);
  for (int i = 4; i < argc; ++i) {
    const std::string out = std::string(argv[3]) + "/" + std::to_string(i - 4);
    try {
      const std::string bytes = read_input_file(argv[i], int64_t{1} << 28, "");
      const Image image =
          prepare_image(decode_image(bytes, argv[i], std::stoi(argv[2])), preprocessing, argv[i]);
      write_npy(out + ".npy", npy_array<uint8_t>({image.channels, image.rows, image.cols},
                                                 std::span<const uint8_t>(image.pixels)));
    } catch (const InputError& error) {
      std::ofstream(out + ".txt") << error.what();
    }
  }
}
