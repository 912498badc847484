// SPDX-License-Identifier: Apache-2.0
// Drives a Verilated array (class Vdut) with a stimulus file and writes every result that it gives.
//   harness STIMULUS RESULTS GAP_SEED
// GAP_SEED 0: one beat a cycle. Else about a third of the cycles are idle (valid_i low) and carry
// another beat's operands and flags. Formats: codegen/vectors.h and cosim/harness/protocol.h. Exit
// 0 done, 1 bad arguments or files; nothing is compared here.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "Vdut.h"
#include "protocol.h"

namespace {

using namespace widthwise::harness;
using Words = std::vector<uint32_t>;

// Ports of up to 64 bits are integers, wider ones arrays of 32-bit words, low word first.
template <class Port>
void set_port(Port& port, const uint32_t* words, int64_t bits) {
  uint64_t value = words[0];
  if (bits > 32) value |= static_cast<uint64_t>(words[1]) << 32;
  port = static_cast<Port>(value);
}
template <std::size_t N>
void set_port(VlWide<N>& port, const uint32_t* words, int64_t) {
  for (std::size_t i = 0; i < N; ++i) port[i] = words[i];
}
template <class Port>
void append_port(Words& out, const Port& port, uint32_t words) {
  const auto value = static_cast<uint64_t>(port);
  out.push_back(static_cast<uint32_t>(value));
  if (words > 1) out.push_back(static_cast<uint32_t>(value >> 32));
}
template <std::size_t N>
void append_port(Words& out, const VlWide<N>& port, uint32_t words) {
  for (uint32_t i = 0; i < words; ++i) out.push_back(port[i]);
}

[[noreturn]] void fail(const std::string& message) {
  std::cerr << "harness: " << message << '\n';
  std::exit(1);
}

Words read_words(const char* path) {
  std::ifstream stream(path, std::ios::binary | std::ios::ate);
  if (!stream) fail(std::string("cannot read ") + path);
  Words words(static_cast<std::size_t>(stream.tellg()) / sizeof(uint32_t));
  stream.seekg(0);
  stream.read(reinterpret_cast<char*>(words.data()),
              static_cast<std::streamsize>(words.size() * sizeof(uint32_t)));
  return words;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) fail("usage: harness STIMULUS RESULTS GAP_SEED");
  const Words stimulus = read_words(argv[1]);
  if (stimulus.size() < kHeaderWords || stimulus[0] != kStimulusMagic) fail("not a stimulus file");
  const uint32_t ifmap_words = stimulus[1], weight_words = stimulus[2], bias_words = stimulus[3];
  const uint32_t psum_words = stimulus[4], count_words = stimulus[5];
  const uint64_t beats = stimulus[6] | static_cast<uint64_t>(stimulus[7]) << 32;
  const std::size_t beat_words = 2 + ifmap_words + weight_words + bias_words;
  if (beats == 0 || stimulus.size() != kHeaderWords + beats * beat_words) {
    fail("the stimulus file is empty or cut off");
  }
  const unsigned long seed = std::strtoul(argv[3], nullptr, 10);

  VerilatedContext context;
  context.randReset(2);  // registers start with random bits
  context.randSeed(static_cast<int>(seed % 1000) + 1);
  Vdut dut(&context);
  const auto drive = [&](const uint32_t* beat, bool valid) {
    dut.valid_i = valid ? 1 : 0;
    dut.first_i = beat[0] & 1;
    dut.last_i = (beat[0] >> 1) & 1;
    dut.bias_beat_i = (beat[0] >> 2) & 1;
    const uint32_t* next = beat + 1;
    set_port(dut.ifmap_zero_point_i, next, 32);
    set_port(dut.ifmap_i, next += 1, 32 * ifmap_words);
    set_port(dut.weight_i, next += ifmap_words, 32 * weight_words);
    set_port(dut.bias_i, next += weight_words, 32 * bias_words);
  };
  const auto tick = [&] {
    dut.clk_i = 0;
    dut.eval();
    dut.clk_i = 1;
    dut.eval();
  };

  dut.rst_ni = 1;
  drive(&stimulus[kHeaderWords], false);
  tick();
  dut.rst_ni = 0;
  tick();
  tick();
  dut.rst_ni = 1;

  // The results file: header, then per result the cycle (two words), psums, counts.
  Words results(kHeaderWords, 0);
  std::mt19937 random(static_cast<uint32_t>(seed));
  uint64_t next = 0, count = 0, cycle = 0, first_cycle = 0, last_cycle = 0;
  for (int drained = 0; drained < kDrainCycles; ++cycle) {
    dut.clk_i = 0;
    const bool idle = next == beats || (seed != 0 && random() % 3 == 0);
    if (idle) {
      drive(&stimulus[kHeaderWords + random() % beats * beat_words], false);  // junk
      if (next == beats) ++drained;
    } else {
      if (next == 0) first_cycle = cycle;
      drive(&stimulus[kHeaderWords + next * beat_words], true);
      ++next;
    }
    dut.eval();
    if (dut.valid_o) {  // what a register behind the array would take at the next rising edge
      ++count;
      last_cycle = cycle;
      results.push_back(static_cast<uint32_t>(cycle));
      results.push_back(static_cast<uint32_t>(cycle >> 32));
      append_port(results, dut.psum_o, psum_words);
      append_port(results, dut.overflow_count_o, count_words);
    }
    dut.clk_i = 1;
    dut.eval();
  }
  dut.final();

  const uint64_t cycles = count == 0 ? 0 : last_cycle - first_cycle + 1;
  results[0] = kResultsMagic;
  results[1] = static_cast<uint32_t>(count);
  results[2] = static_cast<uint32_t>(count >> 32);
  results[3] = static_cast<uint32_t>(cycles);
  results[4] = static_cast<uint32_t>(cycles >> 32);
  std::ofstream out(argv[2], std::ios::binary);
  out.write(reinterpret_cast<const char*>(results.data()),
            static_cast<std::streamsize>(results.size() * sizeof(uint32_t)));
  out.close();
  if (!out) fail(std::string("cannot write ") + argv[2]);
  return 0;
}
