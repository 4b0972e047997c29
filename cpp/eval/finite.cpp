#include "eval/finite.h"

#include <cmath>

#include "eval/memory.h"
#include "graph/origin.h"

namespace lazulite {

namespace {

bool is_finite(const Spec& spec, const Storage& storage) {
  if (!is_inexact(spec.type) || !storage.buffer) return true;
  const int64_t n = size_of(spec.shape);
  const Storage dense{n ? allocate(n * size_of(spec.type)) : Ref<Buffer>(), 0,
                      dense_strides(spec.shape)};
  if (n == 0) return true;
  copy_dense(bound(spec, storage), dense);
  const char* data = static_cast<const char*>(dense.buffer->data);
  for (int64_t i = 0; i < n; ++i) {
    const auto v = Scalar::read(spec.type, data + i * size_of(spec.type)).complex();
    if (!std::isfinite(v.real()) || !std::isfinite(v.imag())) return false;
  }
  return true;
}

}  // namespace

void check_finite(const Unit& unit) {
  const Node& node = *unit.members[0].node;
  if (node.op->kind == OpKind::view || node.op->kind == OpKind::constant) return;
  for (const Slot& slot : node.out) {
    if (is_finite(slot.spec, slot.storage)) continue;
    for (const array& input : node.inputs) {
      if (is_constant(input)) {
        const auto v = constant_value(input).complex();
        if (!std::isfinite(v.real()) || !std::isfinite(v.imag())) return;
      } else if (!is_finite(input.slot().spec, input.slot().storage)) {
        return;
      }
    }
    fail(Kind::runtime, node.op->name, "a nan or an infinity from finite inputs: got ",
         slot.spec.type, " of shape ", slot.spec.shape, ", recorded",
         origin_of(&node).empty() ? std::string(" before debug_nans began") : origin_of(&node));
  }
}

}  // namespace lazulite
