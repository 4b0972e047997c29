#include "eval/failures.h"

#include <algorithm>
#include <new>
#include <stdexcept>

namespace lazulite {

Ref<Failure> failure_in_flight() {
  try {
    throw;
  } catch (const Inherited& e) {
    return e.failure;
  } catch (const Error& e) {
    return make_ref<Failure>(e);
  } catch (const std::bad_alloc&) {
    return make_ref<Failure>(Error(Kind::memory, "out of memory"));
  } catch (const std::length_error&) {  // a vector of more elements than memory has bytes
    return make_ref<Failure>(Error(Kind::memory, "out of memory"));
  } catch (const std::exception& e) {
    return make_ref<Failure>(Error(Kind::runtime, e.what()));
  } catch (...) {
    return {};
  }
}

void fail_unit(Plan& plan, size_t unit, const Ref<Failure>& failure) {
  for (auto& member : plan.units[unit].members) {
    member.node->failure = failure;
    member.node->state.store(State::failed, std::memory_order_release);
  }
  // What needs a failed value: found in one pass, since inputs come first.
  for (size_t u = unit + 1; u < plan.units.size(); ++u)
    for (auto& member : plan.units[u].members)
      for (const array& input : member.node->inputs) {
        if (input.node()->state.load(std::memory_order_relaxed) != State::failed) continue;
        member.node->failure = input.node()->failure;
        member.node->state.store(State::failed, std::memory_order_release);
        break;
      }
}

namespace {

// With their streams; under the plan lock.
std::vector<std::pair<uint32_t, Ref<Failure>>>& unheard() {
  static auto* all = new std::vector<std::pair<uint32_t, Ref<Failure>>>;
  return *all;
}
std::atomic<bool> any_unheard{false};

}  // namespace

void note_failure(uint32_t stream, const Ref<Failure>& failure) {
  for (auto& [of, known] : unheard())
    if (of == stream) return;  // one is enough
  unheard().emplace_back(stream, failure);
  any_unheard.store(true);
}

Ref<Failure> take_failure(uint32_t stream) {
  if (!any_unheard.load()) return {};
  std::lock_guard lock(plan_mutex());
  Ref<Failure> taken;
  for (auto& [of, known] : unheard())
    if (of == stream) taken = known;
  std::erase_if(unheard(), [&](const auto& one) { return one.first == stream; });
  return taken;
}
void throw_failure(const Ref<Failure>& failure) {
  if (any_unheard.load()) {
    std::lock_guard lock(plan_mutex());
    std::erase_if(unheard(), [&](const auto& one) { return one.second == failure; });
  }
  throw failure->error;
}

void throw_failures(const array* roots, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (roots[i].node()->state.load(std::memory_order_acquire) == State::failed)
      throw_failure(roots[i].node()->failure);
}

}  // namespace lazulite
