// The machine's roof: bandwidth by place and multiply-adds by dtype, for one thread and for all.
//   roof          a table, for every level
//   roof --json   of the highest level and all threads, for bench/run.py --roof
#include <cstdio>
#include <cstring>

#include "device/cpu/features.h"
#include "device/cpu/pool.h"
#include "roof.h"

using namespace lazulite;
using namespace lazulite::bench;

namespace {

void print_json() {
  const Level level = levels().back();
  const int threads = cpu::num_threads();
  std::printf("{\"isa\": \"%s\", \"threads\": %d, \"levels\": [", level.name, threads);
  const char* comma = "";
  for (const Place& place : places()) {
    const Bandwidth b = bandwidth(*level.roof, place, threads);
    std::printf("%s\n {\"name\": \"%s\", \"bytes\": %lld, \"read\": %.4g, \"write\": %.4g, "
                "\"copy\": %.4g}",
                comma, place.name.c_str(),
                static_cast<long long>(place.capacity > (int64_t(1) << 59)
                                           ? place.capacity
                                           : place.capacity * threads),
                b.read, b.write, b.copy);
    comma = ",";
  }
  std::printf("],\n \"fma\": {");
  comma = "";
  for (const Arithmetic* a = level.roof->arithmetic; a->name; ++a)
    if (a->available()) {
      std::printf("%s\"%s\": %.4g", comma, a->name, rate(*a, threads));
      comma = ", ";
    }
  std::printf("}}\n");
}

void print_table() {
  std::printf("%s, %d threads\n", cpu::cpu_name().c_str(), cpu::num_threads());
  for (const Level& level : levels()) {
    for (int threads : {1, cpu::num_threads()}) {
      std::printf("\n%s, %d thread%s\n", level.name, threads, threads == 1 ? "" : "s");
      for (const Place& place : places()) {
        const Bandwidth b = bandwidth(*level.roof, place, threads);
        std::printf("  %-8s %8.1f KB  read %7.1f  write %7.1f  copy %7.1f GB/s\n",
                    place.name.c_str(), double(place.bytes) / 1024, b.read, b.write, b.copy);
      }
      for (const Arithmetic* a = level.roof->arithmetic; a->name; ++a)
        if (a->available())
          std::printf("  %-8s multiply-adds  %8.1f GFLOP/s\n", a->name, rate(*a, threads));
      if (cpu::num_threads() == 1) break;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && !std::strcmp(argv[1], "--json")) print_json();
  else print_table();
}
