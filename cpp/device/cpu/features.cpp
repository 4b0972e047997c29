#include "device/cpu/features.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#endif

#if defined(__x86_64__) && !defined(LAZULITE_GENERIC_ONLY)
#include <cpuid.h>
#define LAZULITE_X86 1
#else
#define LAZULITE_X86 0
#endif

#include "base/env.h"
#include "base/fail.h"

namespace lazulite::cpu {

constinit LAZULITE_THREAD_LOCAL bool at_generic_level = false;
namespace {

#if LAZULITE_X86

struct Registers {
  unsigned a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(unsigned leaf, unsigned subleaf = 0) {
  Registers r;
  __get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d);
  return r;
}

bool bit(unsigned word, int index) { return (word >> index) & 1; }

// The register state that the system saves at a task switch; needs OSXSAVE.
uint64_t xgetbv() {
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

// Linux hands out the large tile state only to a process that asked for it; some containers refuse.
bool request_amx() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr long request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}

Features detect() {
  Features f;
  const Registers one = cpuid(1), seven = cpuid(7), seven_one = cpuid(7, 1);
  const Registers extended = cpuid(0x80000001);
  if (!bit(one.c, 27)) return f;  // OSXSAVE
  const uint64_t state = xgetbv();
  const bool v3 = (state & 0x6) == 0x6 && bit(one.c, 28) /* AVX */ && bit(one.c, 12) /* FMA */ &&
                  bit(one.c, 29) /* F16C */ && bit(one.c, 22) /* MOVBE */ &&
                  bit(seven.b, 5) /* AVX2 */ && bit(seven.b, 3) /* BMI1 */ &&
                  bit(seven.b, 8) /* BMI2 */ && bit(extended.c, 5) /* LZCNT */;
  if (!v3) return f;
  f.level = Level::avx2;
  const bool v4 = (state & 0xe6) == 0xe6 && bit(seven.b, 16) /* F */ && bit(seven.b, 17) /* DQ */ &&
                  bit(seven.b, 28) /* CD */ && bit(seven.b, 30) /* BW */ &&
                  bit(seven.b, 31) /* VL */;
  if (!v4) return f;
  f.level = Level::avx512;
  f.vnni = bit(seven.c, 11);
  f.bf16 = seven.a >= 1 && bit(seven_one.a, 5);
  f.fp16 = bit(seven.d, 23);
  f.amx = f.bf16 && (state & 0x60000) == 0x60000 && bit(seven.d, 22) /* bf16 */ &&
          bit(seven.d, 24) /* tile */ && bit(seven.d, 25) /* int8 */;
  return f;
}

#else

bool request_amx() { return false; }
Features detect() { return {}; }

#endif

// Whether dot products of bfloat16 pairs run at the rate of float32 multiply-adds: those of AMD's
// processors do; Intel's (measured on Emerald Rapids) take four times as long.
bool bf16_is_fast() {
#if LAZULITE_X86
  const Registers vendor = cpuid(0);
  return vendor.b == 0x68747541 && vendor.d == 0x69746e65 && vendor.c == 0x444d4163;  // "Auth" ...
#else
  return false;
#endif
}

const char* name_of(const Features& f) {
  if (f.amx) return "amx";
  if (f.bf16) return "avx512_bf16";
  switch (f.level) {
    case Level::avx512: return "avx512";
    case Level::avx2: return "avx2";
    case Level::generic: break;
  }
  return "generic";
}

std::string names_up_to(const Features& f) {
  std::string names = "generic";
  if (f.level >= Level::avx2) names += ", avx2";
  if (f.level >= Level::avx512) names += ", avx512";
  if (f.bf16) names += ", avx512_bf16";
  if (f.amx) names += ", amx";
  return names;
}

Features choose() {
  Features has = detect();
  const std::string name =
      env::choice("LAZULITE_ISA", {"generic", "avx2", "avx512", "avx512_bf16", "amx"}).value_or("");
  // Permission for AMX is asked for only if tiles may be used: it costs every thread 8 KB of state.
  const bool below_amx = !name.empty() && name != "amx";
  if (has.amx && !below_amx) has.amx = request_amx();
  Features usual = has;
  if (!bf16_is_fast()) usual.bf16 = false;
  if (name.empty()) return usual;

  Features chosen = usual;
  chosen.amx = false;
  if (name == "generic") {
    chosen = Features{};
  } else if (name == "avx2") {
    chosen = Features{};
    chosen.level = Level::avx2;
  } else if (name == "avx512") {
    chosen.level = Level::avx512;
    chosen.vnni = chosen.bf16 = false;
  } else if (name == "avx512_bf16") {
    chosen.level = Level::avx512;
    chosen.bf16 = true;
  } else {
    chosen.level = Level::avx512;
    chosen.amx = true;
  }
  if (chosen.level <= has.level && chosen.bf16 <= has.bf16 && chosen.amx <= has.amx) return chosen;
  env::complain("LAZULITE_ISA", "what this machine has: one of " + names_up_to(has));
  return usual;
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The folders of a control group that apply to this process, the innermost first. `controller` is a
// name of version 1 ("cpu", "memory"); null means the unified hierarchy of version 2.
std::vector<std::string> group_folders(const char* controller) {
  const auto listed = [](const std::string& list, const std::string& name) {
    return ("," + list + ",").find("," + name + ",") != std::string::npos;
  };

  std::string own;  // this process's path in the hierarchy
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // id:controllers:path
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string names = line.substr(first + 1, second - first - 1);
    if (controller ? listed(names, controller) : names.empty()) own = line.substr(second + 1);
  }

  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    // id parent device root mount options [tags] - type source super-options
    std::istringstream fields(line);
    std::string skipped, root, mount, type, options;
    fields >> skipped >> skipped >> skipped >> root >> mount;
    while (fields >> skipped && skipped != "-") {
    }
    fields >> type >> skipped >> options;
    const bool wanted =
        controller ? type == "cgroup" && listed(options, controller) : type == "cgroup2";
    if (!wanted) continue;
    // Inside a container the path may lie outside of what is mounted; then the mount is the group.
    std::string below;
    if (root == "/") {
      below = own;
    } else if (own.compare(0, root.size(), root) == 0) {
      below = own.substr(root.size());
    }
    std::vector<std::string> folders;
    for (; !below.empty() && below != "/"; below.erase(below.rfind('/'))) {
      if (below.find('/') == std::string::npos) break;
      folders.push_back(mount + below);
    }
    folders.push_back(mount);
    return folders;
  }
  return {};
}

// CPUs' worth of time that the control groups allow; 0 where nothing limits it.
double cpu_quota() {
  double least = 0;
  const auto limit = [&](double quota, double period) {
    if (quota > 0 && period > 0 && (least == 0 || quota / period < least)) least = quota / period;
  };
  for (const std::string& folder : group_folders(nullptr)) {
    std::istringstream fields(first_line(folder + "/cpu.max"));  // "max 100000" or "150000 100000"
    double quota = 0, period = 0;
    if (fields >> quota >> period) limit(quota, period);
  }
  for (const std::string& folder : group_folders("cpu")) {
    const std::string quota = first_line(folder + "/cpu.cfs_quota_us");  // -1: no limit
    const std::string period = first_line(folder + "/cpu.cfs_period_us");
    limit(std::atof(quota.c_str()), std::atof(period.c_str()));
  }
  return least;
}

int64_t group_memory() {
  int64_t least = std::numeric_limits<int64_t>::max();
  const auto limit = [&](const std::string& path) {
    const int64_t bytes = std::atoll(first_line(path).c_str());  // "max" and no file read as 0
    if (bytes > 0) least = std::min(least, bytes);
  };
  for (const std::string& folder : group_folders(nullptr)) limit(folder + "/memory.max");
  for (const std::string& folder : group_folders("memory")) {
    limit(folder + "/memory.limit_in_bytes");
  }
  return least;
}

// CPUs that the affinity allows, hyper-threads of one core counted once.
int cores_of_affinity() {
#if defined(__linux__)
  for (size_t cpus = 1024; cpus <= 65536; cpus *= 4) {  // the set must be as large as the kernel's
    cpu_set_t* set = CPU_ALLOC(cpus);
    if (!set) break;
    const size_t bytes = CPU_ALLOC_SIZE(cpus);
    CPU_ZERO_S(bytes, set);
    if (sched_getaffinity(0, bytes, set) != 0) {
      CPU_FREE(set);
      continue;
    }
    std::set<std::string> cores;
    for (size_t cpu = 0; cpu < cpus; ++cpu) {
      if (!CPU_ISSET_S(cpu, bytes, set)) continue;
      const std::string siblings =
          first_line("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                     "/topology/thread_siblings_list");
      cores.insert(siblings.empty() ? "cpu" + std::to_string(cpu) : siblings);
    }
    CPU_FREE(set);
    if (!cores.empty()) return static_cast<int>(cores.size());
  }
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

const Features& features() {
  static const Features chosen = choose();
  return chosen;
}

const char* level_name() { return name_of(features()); }

std::string cpu_name() {
#if LAZULITE_X86
  if (cpuid(0x80000000).a >= 0x80000004) {
    char text[49] = {};
    for (unsigned i = 0; i < 3; ++i) {
      const Registers r = cpuid(0x80000002 + i);
      const unsigned words[4] = {r.a, r.b, r.c, r.d};
      std::memcpy(text + 16 * i, words, sizeof words);
    }
    std::string name = text;
    name.erase(0, name.find_first_not_of(' '));
    if (!name.empty()) return name;
  }
#endif
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

const CacheSizes& cache_sizes() {
  static const CacheSizes sizes = [] {
    CacheSizes s;
#if defined(_SC_LEVEL1_DCACHE_SIZE)
    const auto read = [](int name, int64_t* size) {
      const long bytes = sysconf(name);
      if (bytes > 0) *size = bytes;
    };
    read(_SC_LEVEL1_DCACHE_SIZE, &s.l1);
    read(_SC_LEVEL2_CACHE_SIZE, &s.l2);
    read(_SC_LEVEL3_CACHE_SIZE, &s.l3);
#endif
    return s;
  }();
  return sizes;
}

namespace {

// Of Skylake's servers and their heirs to Cooper Lake: a core takes 1.4 times as long for stores
// around the caches, and a few cores do not fill the bandwidth of memory with others.
bool streams_slowly() {
#if LAZULITE_X86
  const Registers vendor = cpuid(0);
  const unsigned about = cpuid(1).a, family = about >> 8 & 15,
                 model = (about >> 4 & 15) | (about >> 12 & 0xf0);
  const bool intel = vendor.b == 0x756e6547 && vendor.d == 0x49656e69 && vendor.c == 0x6c65746e;
  return intel && family == 6 && model == 0x55 && usable_cores() < 8;
#else
  return false;
#endif
}

}  // namespace

int64_t cached_bytes() {
  static const int64_t bytes = [] {
    const int64_t found = streams_slowly()
                              ? std::numeric_limits<int64_t>::max()
                              : std::clamp(cache_sizes().l3, int64_t{8} << 20, int64_t{32} << 20);
    return env::integer("LAZULITE_CACHE_BYTES", 0).value_or(found);
  }();
  return bytes;
}

int usable_cores() {
  static const int cores = [] {
    int count = cores_of_affinity();
    const double quota = cpu_quota();
    if (quota > 0 && quota < count) count = static_cast<int>(std::ceil(quota));
    return std::max(count, 1);
  }();
  return cores;
}

int64_t usable_memory() {
  static const int64_t bytes = [] {
    const int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    const int64_t installed = pages > 0 && page > 0 ? pages * page : int64_t{8} << 30;
    return std::min(installed, group_memory());
  }();
  return bytes;
}

}  // namespace lazulite::cpu
