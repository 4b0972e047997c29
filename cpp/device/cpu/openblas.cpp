#include "device/cpu/openblas.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/env.h"
#include "device/cpu/features.h"

namespace lazulite::cpu {
namespace {

// Sets a variable of the environment and puts the old value back.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    setenv(name, value, 1);
  }
  ~Environment() {
    if (old_) {
      setenv(name_, old_->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }
  Environment(const Environment&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

struct Library {
  void* handle = nullptr;
  std::string prefix;  // "scipy_" in the scipy-openblas wheels

  void* find(const std::string& name) const { return dlsym(handle, (prefix + name).c_str()); }

  template <class F>
  bool load(F*& function, const char* name) const {
    function = reinterpret_cast<F*>(find(name));
    return function != nullptr;
  }

  std::string corename() const {
    char* (*get)() = nullptr;
    return load(get, "openblas_get_corename") ? get() : "";
  }

  void close() {
    if (handle) dlclose(handle);
    handle = nullptr;
  }
};

// Kernels without AVX2: what OpenBLAS falls back to on processors that it does not know.
bool is_fallback(const std::string& core) {
  if (features().level == Level::generic) return false;
  for (const char* modern : {"Haswell", "Zen", "SkylakeX", "Cooperlake", "SapphireRapids"}) {
    if (core == modern) return false;
  }
  return true;
}

Library open_once(const std::string& path) {
  Library library;
  const Environment one_thread("OPENBLAS_NUM_THREADS", "1");  // else it starts threads at once
  library.handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library.handle) return library;
  if (dlsym(library.handle, "scipy_openblas_get_corename")) library.prefix = "scipy_";
  return library;
}

class OpenBlas {
 public:
  void set_hint(std::string path) {
    std::lock_guard hold(mutex_);
    if (path == hint_) return;
    hint_ = std::move(path);
    tried_ = false;
  }

  const Blas* get() {
    if (const Blas* found = found_.load(std::memory_order_acquire)) return found;
    std::lock_guard hold(mutex_);
    if (!found_.load(std::memory_order_relaxed) && !tried_) {
      tried_ = true;
      if (search()) found_.store(&blas_, std::memory_order_release);
    }
    return found_.load(std::memory_order_relaxed);
  }

  std::string status() {
    get();
    std::lock_guard hold(mutex_);
    return status_;
  }

  void* symbol(const char* name) { return get() ? library_.find(name) : nullptr; }

 private:
  bool search() {
    const std::string asked = env::text("LAZULITE_OPENBLAS").value_or("");
    if (asked == "none") {
      status_ = "OpenBLAS is switched off by LAZULITE_OPENBLAS=none";
      return false;
    }
    std::string reasons;
    for (const std::string& path :
         {asked, hint_, std::string("libscipy_openblas.so"), std::string("libopenblas.so.0")}) {
      if (path.empty()) continue;
      const std::string problem = open(path);
      if (problem.empty()) {
        status_ = "OpenBLAS " + core_ + " kernels from " + path_;
        return true;
      }
      reasons += (reasons.empty() ? "" : "; ") + path + ": " + problem;
      if (path == asked)
        env::complain("LAZULITE_OPENBLAS", "none or the path of an OpenBLAS (" + problem + ")");
    }
    status_ = "no usable OpenBLAS, which the package scipy-openblas32 provides (" + reasons + ")";
    return false;
  }

  // Empty if the library can be used, else why not.
  std::string open(const std::string& path) {
    // By name we may meet a library that something else in the process works with, on threads of
    // its own choice: it is left alone.
    const bool by_name = path.find('/') == std::string::npos;
    if (void* in_use = by_name ? dlopen(path.c_str(), RTLD_NOLOAD | RTLD_LAZY) : nullptr) {
      dlclose(in_use);
      return "in use by another part of this process";
    }
    dlerror();
    Library library = open_once(path);
    if (!library.handle) {
      const char* why = dlerror();
      return why ? why : "cannot be opened";
    }
    std::string core = library.corename();
    if (core.empty()) {
      library.close();
      return "not an OpenBLAS";
    }
    if (is_fallback(core) && !std::getenv("OPENBLAS_CORETYPE")) {
      library.close();
      const Environment type("OPENBLAS_CORETYPE",
                             features().level == Level::avx512 ? "SKYLAKEX" : "HASWELL");
      library = open_once(path);
      if (!library.handle) return "cannot be opened a second time";
      const std::string better = library.corename();
      if (is_fallback(better)) {
        library.close();
        return "runs kernels for " + core + " on this processor, which has " + level_name();
      }
      core = better;
    }
    Blas found{};
    if (!library.load(found.sgemm, "cblas_sgemm") || !library.load(found.dgemm, "cblas_dgemm") ||
        !library.load(found.cgemm, "cblas_cgemm") || !library.load(found.zgemm, "cblas_zgemm") ||
        !library.load(found.sgemv, "cblas_sgemv") || !library.load(found.dgemv, "cblas_dgemv")) {
      library.close();
      return "lacks the C interface, or has one with 64-bit sizes";
    }
    void (*set_threads)(int) = nullptr;
    if (library.load(set_threads, "openblas_set_num_threads")) set_threads(1);
    library_ = library;
    core_ = core;
    path_ = path;
    blas_ = found;
    blas_.corename = core_.c_str();
    blas_.path = path_.c_str();
    return "";
  }

  std::mutex mutex_;
  std::string hint_, status_;  // under mutex_
  bool tried_ = false;         // under mutex_
  Library library_;            // this and what follows: fixed once found_ is set
  std::string core_, path_;
  Blas blas_{};
  std::atomic<const Blas*> found_{nullptr};
};

OpenBlas& openblas() {
  static OpenBlas* const leaked = new OpenBlas;
  return *leaked;
}

}  // namespace

void set_openblas_hint(std::string path) { openblas().set_hint(std::move(path)); }
const Blas* blas() { return at_generic_level ? nullptr : openblas().get(); }
std::string blas_status() { return openblas().status(); }
void* blas_symbol(const char* name) { return openblas().symbol(name); }

}  // namespace lazulite::cpu
