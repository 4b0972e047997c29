#include "eval/waves.h"

#include <algorithm>
#include <unordered_map>

namespace lazulite {

namespace {

constexpr double most_ns = 20e3;         // what a region of the pool takes a second thread for
constexpr size_t view = 32;              // units that are looked at beyond the first of a wave
constexpr int64_t most_bytes = 1 << 20;  // that a wave makes: what is drawn forward lives longer

// About: elements at five a nanosecond, of dear functions at one, products at 50 flops.
double cost_of(const Node& node) {
  if (node.op->flops) return node.op->flops(node) / 50;
  int64_t elements = 0;
  for (const Slot& slot : node.out) elements = std::max(elements, size_of(slot.spec.shape));
  for (const array& input : node.inputs) elements = std::max(elements, input.size());
  return (node.op->light || node.op->kind != OpKind::elementwise ? 0.2 : 0.8) * double(elements);
}

// Not those that give or take memory by themselves, that may take long, or whose order matters.
bool runs_beside_others(const Op& op) {
  return op.kind == OpKind::elementwise ||
         (op.kind == OpKind::kernel && !op.update && !op.places && !op.slow && !op.evaluates &&
          !op.barrier);
}

class Waves {
 public:
  explicit Waves(std::vector<Unit>& units) : units_(units), wave_of_(units.size(), -1) {
    for (size_t u = 0; u < units.size(); ++u)
      for (const auto& member : units[u].members) maker_[member.node] = int(u);
    for (const Unit& unit : units) {
      About& about = about_.emplace_back();
      for (const auto& member : unit.members) describe(member, about);
      about.small &= about.cost < most_ns;
    }
  }

  std::vector<Wave> arrange() {
    std::vector<Unit> placed;
    placed.reserve(units_.size());
    for (size_t u = 0; u < units_.size(); ++u) {
      if (wave_of_[u] >= 0) continue;
      Wave wave;
      std::vector<size_t> members{u};
      wave.ahead = about_[u].cost;
      wave_of_[u] = int(waves_.size());
      if (about_[u].small) gather(u, wave, members);
      for (size_t member : members) placed.push_back(std::move(units_[member]));
      waves_.push_back(wave);
    }
    units_ = std::move(placed);
    // Workers that one wave woke are awake for the next.
    double ahead = 0;
    for (size_t w = waves_.size(); w-- > 0;)
      if (waves_[w].units > 1) ahead = waves_[w].ahead += ahead;
    return std::move(waves_);
  }

 private:
  struct About {
    double cost = 0;
    int64_t bytes = 0;  // that it makes
    bool small = true;
    std::vector<int> needs;
  };

  void describe(const Unit::Member& member, About& about) {
    const Node& node = *member.node;
    about.cost += cost_of(node);
    about.small &= runs_beside_others(*node.op);
    if (member.stored)
      for (const Slot& slot : node.out)
        about.bytes += size_of(slot.spec.shape) * size_of(slot.spec.type);
    for (const array& input : node.inputs)
      if (const auto found = maker_.find(input.node().get());
          found != maker_.end() && found->second != int(about_.size()) - 1)
        about.needs.push_back(found->second);
  }

  void gather(size_t first, Wave& wave, std::vector<size_t>& members) {
    int64_t bytes = 0;
    const size_t end = std::min(units_.size(), first + view);
    for (size_t u = first + 1; u < end; ++u) {
      const About& about = about_[u];
      const bool ready = std::all_of(about.needs.begin(), about.needs.end(), [&](int from) {
        return wave_of_[size_t(from)] >= 0 && wave_of_[size_t(from)] < int(waves_.size());
      });
      if (wave_of_[u] >= 0 || !about.small || !ready || bytes + about.bytes > most_bytes) continue;
      bytes += about.bytes;
      wave_of_[u] = int(waves_.size());
      wave.ahead += about.cost;
      ++wave.units;
      members.push_back(u);
    }
  }

  std::vector<Unit>& units_;
  std::unordered_map<const Node*, int> maker_;
  std::vector<About> about_;
  std::vector<int> wave_of_;  // -1: not placed
  std::vector<Wave> waves_;
};

}  // namespace

std::vector<Wave> arrange_waves(std::vector<Unit>& units) { return Waves(units).arrange(); }

}  // namespace lazulite
