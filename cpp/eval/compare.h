// debug_compare: what a unit gives beside what its ops give one by one, at the generic level, on
// one thread and without writing over anything.
#pragma once
#include <atomic>
#include <memory>

#include "eval/plan.h"

namespace lazulite {

extern std::atomic<bool> comparing;
void debug_compare(bool on);  // nests: as often off as on; notes origins

// True where loops run their bodies op by op, because somebody looks.
bool runs_bodies_openly();

// Keeps what a unit reads, as it is before the unit runs.
class Compared {
 public:
  explicit Compared(const Unit& unit) {
    if (comparing.load(std::memory_order_relaxed)) keep(unit);
  }
  ~Compared() {
    if (kept_) leave();
  }
  Compared(const Compared&) = delete;
  // After it ran, while its nodes hold their inputs: raises for the first op whose result differs.
  void check() const {
    if (kept_) compare();
  }

 private:
  struct Kept;
  void keep(const Unit&);
  void compare() const;
  void leave();
  std::shared_ptr<Kept> kept_;
  const Unit* outer_ = nullptr;
};

}  // namespace lazulite
