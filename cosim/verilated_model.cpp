#include "cosim/verilated_model.h"

#include <fmt/format.h>

#include <cstring>
#include <sstream>

#include "codegen/vectors.h"
#include "core/error.h"
#include "core/files.h"
#include "cosim/harness/protocol.h"
#include "cosim/subprocess.h"

namespace widthwise {
namespace fs = std::filesystem;
namespace {

static_assert(kStimulusMagic == harness::kStimulusMagic);
constexpr const char* kInstall = "install Verilator 5 (apt-get install verilator g++ make)";
constexpr const char* kExecutable = "harness";

// The first lines that name an error, or the last line: what a user needs to see.
std::string first_errors(const std::string& output) {
  constexpr int kMaxLines = 4;
  std::istringstream lines(output);
  std::string found, last;
  int count = 0;
  for (std::string line; count < kMaxLines && std::getline(lines, line);) {
    if (!line.empty()) last = line;
    if (line.find("rror") == std::string::npos && line.find("%Warning") == std::string::npos) {
      continue;
    }
    found += (found.empty() ? "" : "; ") + line;
    ++count;
  }
  return found.empty() ? last : found;
}

void require(const ProcessResult& result, const std::string& program, const std::string& work,
             const std::string& fix) {
  if (result.ok()) return;
  throw InputError({.file = program,
                    .where = work,
                    .field = "",
                    .problem = result.timed_out
                                   ? fmt::format("took longer than {:.0f} s", result.wall_seconds)
                                   : fmt::format("failed with exit code {}: {}", result.exit_code,
                                                 first_errors(result.output)),
                    .fix = result.timed_out ? "compare a smaller array or allow more time" : fix});
}

// The low `bits` bits from bit `offset` on, as a two's-complement or unsigned number.
int64_t field(const uint32_t* words, int64_t offset, int bits, bool is_signed) {
  uint64_t value = 0;
  for (int done = 0; done < bits;) {
    const int64_t at = offset + done;
    const int room = 32 - static_cast<int>(at % 32), taken = std::min(bits - done, room);
    const uint64_t part = (uint64_t{words[at / 32]} >> (at % 32)) & ((uint64_t{1} << taken) - 1);
    value |= part << done;
    done += taken;
  }
  const bool negative = is_signed && ((value >> (bits - 1)) & 1) != 0;
  return static_cast<int64_t>(value) - (negative ? int64_t{1} << bits : 0);
}

std::vector<uint32_t> to_words(const std::string& bytes) {
  std::vector<uint32_t> words(bytes.size() / sizeof(uint32_t));
  std::memcpy(words.data(), bytes.data(), words.size() * sizeof(uint32_t));
  return words;
}

}  // namespace

VerilatedModel::VerilatedModel(const GeneratedArray& array, const fs::path& folder,
                               const fs::path& cache_folder, double timeout_seconds,
                               Progress& progress)
    : array_(array.parameters), timeout_seconds_(timeout_seconds) {
  const ProcessResult version = run_process({"verilator", "--version"}, folder, 30, kInstall);
  require(version, "verilator", "--version", kInstall);
  version_ = version.output.substr(0, version.output.find('\n'));

  const fs::path harness_folder = share_folder() / "cosim" / "harness";
  const bool ccache = !find_program("ccache").empty();
  std::vector<std::string> command = {
      "verilator",  "--cc",       "--exe",       "--build",      "-O3",  "--x-initial",
      "unique",     "--x-assign", "unique",      "--prefix",     "Vdut", "--top-module",
      array.module, "-Mdir",      "obj",         "--build-jobs", "2",    "-CFLAGS",
      "-std=c++20", "-MAKEFLAGS", "OPT_FAST=-O2"};
  std::string inputs = version_;
  for (const std::string& option : command) inputs += ' ' + option;
  if (ccache) command.insert(command.end(), {"-MAKEFLAGS", "OBJCACHE=ccache"});
  for (const std::string& file : array.rtl_files) {
    command.push_back(file);
    inputs += '\n' + read_file(folder / file, "generate the array again");
  }
  for (const char* file : {"harness.cpp", "protocol.h"}) {
    inputs += read_file(harness_folder / file, "set WIDTHWISE_SHARE to the data folder");
  }
  command.insert(command.end(), {(harness_folder / "harness.cpp").string(), "-o", kExecutable});

  prepare_folder(cache_folder);
  executable_ = fs::absolute(cache_folder) / content_hash(inputs) / kExecutable;
  if (fs::exists(executable_)) return;

  from_cache_ = false;
  progress.begin(fmt::format("compile {} with Verilator", array.module), 1, "model");
  const fs::path obj = folder / "obj";
  const ProcessResult built =
      run_process(command, folder, timeout_seconds, kInstall, progress,
                  {"CCACHE_BASEDIR=" + fs::absolute(folder).string(), "CCACHE_NOHASHDIR=1"});
  require(built, "verilator", array.module,
          "look at the named file and line in the generated folder");
  copy_into_place(obj / kExecutable, executable_);  // others may build it, too, or run it
  std::error_code ignored;
  fs::remove_all(obj, ignored);
  build_seconds_ = built.wall_seconds;
  progress.advance(1);
  progress.end();
}

ModelResults VerilatedModel::run(const fs::path& stimulus, uint32_t gap_seed,
                                 const fs::path& work_folder, Progress& progress) const {
  const fs::path file = fs::absolute(work_folder) / "results.bin";
  const ProcessResult ran =
      run_process({executable_.string(), fs::absolute(stimulus).string(), file.string(),
                   std::to_string(gap_seed)},
                  work_folder, timeout_seconds_, "delete the cache folder and run again", progress);
  require(ran, executable_.string(), "", "delete the cache folder and run again");

  const std::vector<uint32_t> words = to_words(read_file(file, "run again"));
  const int64_t pes = int64_t{array_.rows} * array_.cols;
  const auto psum_words = static_cast<size_t>((pes * array_.acc_bits + 31) / 32);
  const auto count_words = static_cast<size_t>((pes * array_.count_bits + 31) / 32);
  const size_t result_words = 2 + psum_words + count_words;
  const bool whole = words.size() >= harness::kHeaderWords && words[0] == harness::kResultsMagic &&
                     (words.size() - harness::kHeaderWords) % result_words == 0;
  if (!whole) {
    throw InputError({.file = file.string(),
                      .where = "",
                      .field = "",
                      .problem = "was cut off",
                      .fix = "free some disk space or compare fewer MACs"});
  }
  ModelResults results;
  results.cycles = static_cast<int64_t>(words[3] | uint64_t{words[4]} << 32);
  for (size_t at = harness::kHeaderWords; at < words.size(); at += result_words) {
    const uint32_t* psums = &words[at + 2];
    const uint32_t* counts = psums + psum_words;
    std::vector<PeResult> tile;
    for (int64_t pe = 0; pe < pes; ++pe) {
      tile.push_back({field(psums, pe * array_.acc_bits, array_.acc_bits, true),
                      field(counts, pe * array_.count_bits, array_.count_bits, false)});
    }
    results.tiles.push_back(std::move(tile));
  }
  return results;
}

}  // namespace widthwise
