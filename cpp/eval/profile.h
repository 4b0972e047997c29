// What ran while somebody looked: one event per step of a plan.
#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace lazulite {

struct Unit;

struct ProfileEvent {
  std::string name;     // an op, or "fused {exp add}"
  std::string text;     // the same with attributes: "sum(axes=(0), keepdims=false)"
  std::string result;   // dtype and shape of what it makes: "float32(2, 3)"
  std::string line;     // of Python, that recorded its last op; may be empty
  int64_t start, nanoseconds;  // since the profile began; the whole step
  int64_t own;          // without the steps inside it (loops)
  int64_t bytes;        // read and written
  double flops;
  uint64_t thread;
};

class Profile {
 public:
  Profile() = default;
  ~Profile() { stop(); }
  Profile(const Profile&) = delete;
  void start();   // one at a time in a process: else raises
  void stop();
  std::vector<ProfileEvent> events() const;
  bool full() const;  // more happened than is kept

 private:
  bool running_ = false;
  std::vector<ProfileEvent> kept_;
  bool full_ = false;
};

extern std::atomic<bool> profiling;

// Times a step while it lives.
class Profiled {
 public:
  explicit Profiled(const Unit& unit) {
    if (profiling.load(std::memory_order_relaxed)) begin(unit);
  }
  ~Profiled() {
    if (event_) end();
  }
  Profiled(const Profiled&) = delete;

 private:
  void begin(const Unit&);
  void end();
  ProfileEvent* event_ = nullptr;
  Profiled* outer_ = nullptr;
  int64_t entered_ = 0, start_ = 0, inside_ = 0;
};

}  // namespace lazulite
