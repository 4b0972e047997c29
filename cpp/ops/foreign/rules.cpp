#include "ops/foreign/ops.h"
#include "ops/lanes.h"

namespace lazulite {

bool Foreign::equal(const Attrs& other) const {
  const ForeignCall& o = static_cast<const Foreign&>(other).call;
  bool same = call.function.get() == o.function.get() && call.sizes == o.sizes &&
              call.units == o.units && call.dense == o.dense && call.before == o.before &&
              call.lanes == o.lanes && call.outputs.size() == o.outputs.size();
  for (size_t i = 0; same && i < o.outputs.size(); ++i)
    same = call.outputs[i].shape == o.outputs[i].shape && call.outputs[i].type == o.outputs[i].type;
  return same;
}
size_t Foreign::hash() const {
  return detail::mix(detail::hash_field(call.sizes),
                     std::hash<const void*>{}(call.function.get()));
}
void Foreign::print(std::ostream& out) const {
  out << "kernel=" << call.function->name << ", units=" << call.units;
}

namespace {

Specs infer_foreign(const Foreign& attributes, const Arrays&) {
  const ForeignCall& call = attributes.call;
  Specs out;
  for (const Spec& s : call.outputs) {
    Shape shape = call.lanes;
    shape.append(s.shape.begin(), s.shape.end());
    out.push_back(Spec{shape, s.type});
  }
  return out;
}
// Lane by lane: the kernel sees one at a time, what is not mapped is one array in all of them.
Arrays vmap_foreign(const Foreign& attributes, const Node& node, const Arrays& in, const Axes& axes,
                    Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  ForeignCall call = attributes.call;
  call.lanes = with_front(lanes, call.lanes);
  Arrays lined;
  for (size_t i = 0; i < in.size(); ++i) lined.push_back(lane_first(in[i], axes[i], lanes));
  out_axes = Axes(node.out.size(), 0);
  return record_all(*node.op, AttrsRef(new Foreign(std::move(call))), lined, node.stream);
}

}  // namespace

const Op foreign_op = op<Foreign>("foreign", "A kernel that was compiled elsewhere.",
                                      {.slow = true,
                                       .infer = typed<infer_foreign>,
                                       .vmap = typed<vmap_foreign>});

OpList foreign_ops() { return {&foreign_op}; }

Arrays foreign(const ForeignCall& call, Arrays in, Stream s) {
  for (const Spec& o : call.outputs) check_shape(o.shape, o.type, call.function->name);
  if (call.units < 0)
    fail(Kind::value, call.function->name, "negative grid: got ", call.units, " units");
  return record_all(foreign_op, AttrsRef(new Foreign(call)), std::move(in), s);
}

}  // namespace lazulite
