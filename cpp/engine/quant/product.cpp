// Rows times a packed matrix. Where the level has kernels for that and the matrix is met by its
// rows, in whole numbers: a few rows by dot products with codes as they lie, more of them beside a
// panel, 32 columns of the result by some hundred steps, whose codes are made 16 bits wide and
// which stays in the caches. Otherwise such a panel is made floats, and multiplied as panels of
// dense matrices are.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "device/cpu/pool.h"
#include "device/limits.h"
#include "engine/gemm/kernels.h"
#include "engine/gemm/panels.h"
#include "engine/layout/copy.h"
#include "engine/quant/room.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const PanelTable&, panel_kernels)
LAZULITE_FILLED(PanelTable, panel_kernels, avx512_bf16)
LAZULITE_FILLED_OVER(PanelTable, panel_kernels, panel_kernels_filled, amx, panel_kernels_of_machine)
LAZULITE_FILLED_OVER(QuantKernels, quant_kernels, quant_kernels_filled, amx,
                     quant_kernels_of_machine)
LAZULITE_LEVELS(const GemmKernels&, gemm_kernels)

namespace {

constexpr int64_t strip = 32;            // columns of the result that are made at a time
constexpr int64_t rows_at_once = 512;    // that see one panel
constexpr int64_t task_bytes = 1 << 16;  // of packed lines, for a few rows
constexpr double macs_per_ns = 15, expanded_per_ns = 4;  // of one thread, about

// Up to so many rows dot products win (measured, Cascade Lake, also at AVX2's level), and up to so
// many panels of whole numbers do: with VNNI always.
constexpr int64_t dots_rows = 8, dots_rows_vnni = 7, whole_rows = 31;
static_assert(centred_rows >= dots_rows && centred_rows >= dots_rows_vnni);

// One part, with its rows in memory at one stride.
class Part {
 public:
  Part(const PackedProduct& p, const PackedProduct::Part& part, const PackedKernels& kernels)
      : p_(p),
        panels_((kernels.panels ? *kernels.panels : panel_kernels_of_machine())
                    .of[index_of(p.type)]),
        whole_(kernels.whole ? *kernels.whole : quant_kernels_of_machine()),
        f_(p.format), w_(part.w), slot_(slot_of(f_.codes, f_.bits)), rows_(part.count),
        n_(p.columns()), k_(p.inner()), line_bytes_(p.length * f_.bits / 8),
        groups_(p.length / f_.group), each_(size_of(p.type)), scale_each_(size_of(p.scale_type)) {
    const PackedProduct::Row* rows = p.rows.data() + part.first;
    x_ = rows[0].x;
    out_ = rows[0].out;
    const int64_t apart = rows_ > 1 ? rows[1].x - rows[0].x : k_ * each_;
    bool even = apart % each_ == 0, dense = true;
    for (int64_t r = 0; r < rows_; ++r) {
      even &= rows[r].x == x_ + r * apart;
      dense &= rows[r].out == out_ + r * n_ * each_;
    }
    x_row_ = apart / each_;
    if (!even) {
      char* to = memory(held_x_, rows_ * k_ * each_);
      for (int64_t r = 0; r < rows_; ++r)
        std::memcpy(to + r * k_ * each_, rows[r].x, size_t(k_ * each_));
      x_ = to;
      x_row_ = k_;
    }
    if (!dense) out_ = memory(held_out_, rows_ * n_ * each_);
    run();
    if (!dense)
      for (int64_t r = 0; r < rows_; ++r)
        std::memcpy(rows[r].out, out_ + r * n_ * each_, size_t(n_ * each_));
  }

 private:
  void run() {
    if (p_.type != float64 && p_.transposed) {
      const bool vnni = cpu::reaches_avx512_vnni();
      read_bytes();
      if (rows_ <= (vnni ? dots_rows_vnni : dots_rows)) {
        if (by_dots()) return;
      } else if ((vnni || rows_ <= whole_rows) && panels_.group == 1 && by_whole()) {
        return;
      }
    }
    if (p_.type != float64 && panels_.block) return by_panels();
    if (p_.type == float64) by_tiles<double>();
    else by_tiles<float>();
  }

  // Rows of x in the type of sums: where they lie, or a copy.
  const char* wide_rows(Ref<Buffer>& held, int64_t& row) const {
    row = x_row_;
    if (!is_half(p_.type)) return x_;
    char* to = memory(held, rows_ * k_ * 4);
    copy({rows_, k_}, {const_cast<char*>(x_), p_.type, {x_row_, 1}}, {to, float32, {k_, 1}});
    row = k_;
    return to;
  }
  void write(float* from, int64_t row, int64_t rows, int64_t col, int64_t cols,
             int64_t stride) const {
    copy({rows, cols}, {from, float32, {stride, 1}},
         {out_ + (row * n_ + col) * each_, p_.type, {n_, 1}});
  }

  // ---- a few rows
  bool by_dots() const {
    const QuantKernels& k = quant_kernels_filled();
    if (!k.dots[slot_]) return false;
    Ref<Buffer> held_x, held_whole, held_scales, held_sums;
    int64_t row = 0;
    const float* x = reinterpret_cast<const float*>(wide_rows(held_x, row));
    const int64_t whole_row = k_ + 256;
    auto* whole = reinterpret_cast<int16_t*>(memory(held_whole, rows_ * whole_row * 2));
    float* scales = reinterpret_cast<float*>(memory(held_scales, rows_ * groups_ * 8));
    float* sums = scales + rows_ * groups_;
    for (int64_t r = 0; r < rows_; ++r)
      if (!k.prepare[slot_]({x + r * row, k_, f_, whole + r * whole_row, scales + r * groups_,
                             sums + r * groups_}))
        return false;
    const bool halves = is_half(p_.type), biased = f_.has_biases() && !p_.centred;
    const float centre = -float(1 << (f_.bits - 1));
    const int64_t each = std::max<int64_t>(16, task_bytes / line_bytes_), tasks = parts(n_, each),
                  blocks = parts(rows_, few);
    cpu::parallel_for(
        tasks,
        [&](int64_t t) {
          const int64_t first = part(n_, tasks, t), lines = part(n_, tasks, t + 1) - first;
          Ref<Buffer> held;
          float* out = halves ? reinterpret_cast<float*>(memory(held, rows_ * lines * 4))
                              : reinterpret_cast<float*>(out_) + first;
          const int64_t at = first * groups_ * scale_each_, out_row = halves ? lines : n_;
          for (int64_t block = 0; block < blocks; ++block) {
            const int64_t r = part(rows_, blocks, block);
            k.dots[slot_](
                {w_.codes + first * line_bytes_, w_.scales + at, biased ? w_.biases + at : nullptr,
                 p_.centred ? centre : 0, line_bytes_, groups_, lines, k_, f_, p_.scale_type,
                 float(p_.factor), whole + r * whole_row, scales + r * groups_, sums + r * groups_,
                 whole_row, int(part(rows_, blocks, block + 1) - r), out + r * out_row, out_row});
          }
          if (halves) write(out, 0, rows_, first, lines, lines);
        },
        double(n_) * double(line_bytes_) / 10 * double(blocks));
    return true;
  }

  // ---- panels of the matrix

  // What scales that are bytes stand for.
  void read_bytes() {
    if (p_.scale_type != Dtype::uint8 || rows_ <= few) return;
    const Scales scale(f_, p_.scale_type, p_.factor);
    for (int i = 0; i < 256; ++i) {
      const char byte = char(i);
      of_bytes_.push_back(float(scale(&byte, 0)));
    }
  }
  // Scales of the strip from column `col` on, for `steps` steps from `step` on, as the kernels want
  // them, in float32.
  struct PanelScales {
    std::vector<float> scales, biases;
  };
  void read_scales(int64_t col, int64_t lines, int64_t width, int64_t step, int64_t steps,
                   PanelScales& to) const {
    const Scales scale(f_, p_.scale_type, p_.factor), bias(f_, p_.scale_type, 1, true);
    const int64_t groups = parts(steps, f_.group), read = parts(steps, 32) * 32 / f_.group;
    const auto* bytes = reinterpret_cast<const uint8_t*>(w_.scales);
    // Kernels read whole blocks: an odd number of groups of 16 has one more, of zeros.
    to.scales.assign(size_t(std::max(groups, read) * width), 0);
    to.biases.assign(size_t(std::max(groups, read) * width), 0);
    const int64_t at = col * groups_ + step / f_.group;
    const auto widen = panel_kernels().of[index_of(p_.scale_type)].widen;
    if (widen && p_.factor == 1) {
      widen({w_.scales + at * scale_each_, to.scales.data(), lines, width, groups_, 1, groups});
      if (f_.has_biases())
        widen({w_.biases + at * scale_each_, to.biases.data(), lines, width, groups_, 1, groups});
      return;
    }
    for (int64_t i = 0; i < lines; ++i)
      for (int64_t g = 0; g < groups; ++g) {
        if (!of_bytes_.empty()) {
          to.scales[size_t(g * width + i)] = of_bytes_[bytes[at + i * groups_ + g]];
          continue;
        }
        to.scales[size_t(g * width + i)] = float(scale(w_.scales, at + i * groups_ + g));
        if (f_.has_biases())
          to.biases[size_t(g * width + i)] = float(bias(w_.biases, at + i * groups_ + g));
      }
  }

  // A panel of a matrix that is met by its rows, and its scales.
  void expand_lines(void (*kernel)(const ExpandCall&), int64_t col, int64_t step, int64_t steps,
                    int64_t width, void* to, PanelScales& scales) const {
    const int64_t lines = std::min(width, n_ - col);
    read_scales(col, lines, width, step, steps, scales);
    kernel({w_.codes + col * line_bytes_ + step * f_.bits / 8, line_bytes_,
            parts(steps * f_.bits, 32), lines, width, parts(steps, 32), scales.scales.data(),
            f_.has_biases() ? scales.biases.data() : nullptr, f_.group, to});
  }
  // Panels of up to `width` columns each, one behind the other: to[step * width + column].
  void expand(int64_t col, int64_t step, int64_t steps, int64_t width, bool pairs, float* to,
              PanelScales& scales) const {
    const QuantKernels& k = quant_kernels();
    const int64_t blocks = parts(steps, 32);
    if (p_.transposed) {
      const auto kernel = pairs ? k.expand_pairs[slot_] : k.expand[slot_];
      for (int64_t c = 0; c < std::min(strip, n_ - col); c += width)
        expand_lines(kernel, col + c, step, steps, width, to + c * (blocks * (pairs ? 16 : 32)),
                     scales);
      return;
    }
    const int64_t halves = f_.group < 32 ? 2 : 1;
    const Scales scale(f_, p_.scale_type, p_.factor), bias(f_, p_.scale_type, 1, true);
    scales.scales.assign(size_t(halves * steps), 0);
    scales.biases.assign(size_t(halves * steps), 0);
    for (int64_t h = 0; h < halves && col + h * 16 < n_; ++h)
      for (int64_t i = 0; i < steps; ++i) {
        const int64_t at = (step + i) * groups_ + (col + h * 16) / f_.group;
        scales.scales[size_t(h * steps + i)] = float(scale(w_.scales, at));
        if (f_.has_biases()) scales.biases[size_t(h * steps + i)] = float(bias(w_.biases, at));
      }
    k.decode[slot_]({w_.codes + step * line_bytes_ + col * f_.bits / 8, line_bytes_,
                     std::min<int64_t>(f_.bits, (n_ - col) * f_.bits / 32), steps,
                     scales.scales.data(), f_.has_biases() ? scales.biases.data() : nullptr,
                     f_.group, to, width, width == strip ? 16 : blocks * 32 * width});
  }

  void by_panels() const {
    // Groups of bfloat16 are pairs side by side, a register of AVX-512 or a tile of them at a time.
    const bool pairs = panels_.group > 1 && p_.transposed;
    const PanelKernels& mul =
        panels_.group == 1 || pairs ? panels_ : panel_kernels().of[index_of(p_.type)];
    const auto pack = mul.pack_left ? mul.pack_left : mul.pack;
    const int64_t depths = parts(k_, inner_panel), width = mul.cols;
    const int group = mul.group, value = group > 1 ? group * 2 : 4;  // bytes
    for (int64_t row = 0; row < rows_; row += rows_at_once) {
      const int64_t rows = std::min(rows_at_once, rows_ - row), pieces = parts(rows, mul.rows);
      const auto groups_of = [&](int64_t d) {
        return parts(std::min(inner_panel, k_ - d * inner_panel), group);
      };
      const auto packed_at = [&](int64_t d) { return d * (inner_panel / group) * rows; };
      Ref<Buffer> held;
      char* packed = memory(held, (packed_at(depths - 1) + groups_of(depths - 1) * rows) * value);
      cpu::parallel_for(
          depths * pieces,
          [&](int64_t i) {
            const int64_t d = i / pieces, first = part(rows, pieces, i % pieces),
                          lines = part(rows, pieces, i % pieces + 1) - first;
            pack({x_ + ((row + first) * x_row_ + d * inner_panel) * each_,
                  packed + (packed_at(d) + first * groups_of(d)) * value, lines, lines, x_row_, 1,
                  std::min(inner_panel, k_ - d * inner_panel)});
          },
          double(rows * k_));
      cpu::parallel_for(
          parts(n_, strip),
          [&](int64_t s) {
            const int64_t col = s * strip, cols = std::min(strip, n_ - col);
            Ref<Buffer> held_panel, held_sums;
            float* panel = reinterpret_cast<float*>(memory(held_panel, inner_panel * strip * 4));
            const bool direct = p_.type == float32;
            float* sums = direct ? reinterpret_cast<float*>(out_) + row * n_ + col
                                 : reinterpret_cast<float*>(memory(held_sums, rows * strip * 4));
            const int64_t out_row = direct ? n_ : strip;
            PanelScales scales;
            for (int64_t d = 0; d < depths; ++d) {
              const int64_t steps = std::min(inner_panel, k_ - d * inner_panel),
                            groups = groups_of(d);
              expand(col, d * inner_panel, steps, width, pairs, panel, scales);
              for (int64_t c = 0; c < cols; c += width)
                for (int64_t i = 0; i < pieces; ++i) {
                  const int64_t first = part(rows, pieces, i),
                                lines = part(rows, pieces, i + 1) - first;
                  mul.block({packed + (packed_at(d) + first * groups) * value,
                             panel + c * (parts(steps, 32) * (pairs ? 16 : 32)),
                             sums + first * out_row + c, groups, lines, width, out_row, int(lines),
                             int(std::min(width, cols - c)), d > 0});
                }
            }
            if (!direct) write(sums, row, rows, col, cols, strip);
          },
          double(n_) * double(k_) * (double(rows) / macs_per_ns + 1 / expanded_per_ns));
    }
  }

  // The same in whole numbers, of which a lane takes two at a time. False where rows do not fit.
  bool by_whole() const {
    const QuantKernels& k = whole_;
    if (!k.multiply || !k.prepare_pairs[slot_]) return false;
    const int64_t pairs = parts(k_, 32) * 16, each = pairs + 2 * groups_, width = k.width,
                  depths = parts(k_, inner_panel), own = k.rows_apart ? pairs : 0;
    const auto pack = panel_kernels().of[index_of(float32)].pack;
    Ref<Buffer> held_x;
    int64_t x_row = 0;
    const float* x = reinterpret_cast<const float*>(wide_rows(held_x, x_row));
    for (int64_t row = 0; row < rows_; row += rows_at_once) {
      const int64_t rows = std::min(rows_at_once, rows_ - row), pieces = parts(rows, k.rows);
      // Of each row its pairs, scales and sums; then those of a piece side by side.
      Ref<Buffer> held_lines, held;
      auto* lines = reinterpret_cast<uint32_t*>(memory(held_lines, rows * each * 4));
      auto* packed = reinterpret_cast<uint32_t*>(memory(held, rows * each * 4));
      std::atomic<bool> fit{true};
      cpu::parallel_for(
          rows,
          [&](int64_t r) {
            uint32_t* to = lines + r * each;
            auto* scales = reinterpret_cast<float*>(to + pairs);
            if (!k.prepare_pairs[slot_]({x + (row + r) * x_row, k_, f_,
                                         reinterpret_cast<int16_t*>(to), scales,
                                         scales + groups_}))
              fit.store(false, std::memory_order_relaxed);
          },
          double(rows * k_));
      if (!fit.load()) return false;
      cpu::parallel_for(
          pieces,
          [&](int64_t i) {
            const int64_t first = part(rows, pieces, i), n = part(rows, pieces, i + 1) - first;
            pack({lines + first * each + own, packed + first * each + own * n, n, n, each, 1,
                  each - own});
          },
          double(rows * each) / 2);
      cpu::parallel_for(
          parts(n_, strip),
          [&](int64_t s) {
            const int64_t col = s * strip, cols = std::min(strip, n_ - col);
            Ref<Buffer> held_panel, held_sums;
            auto* panel = reinterpret_cast<uint32_t*>(
                memory(held_panel, inner_panel / 2 * width * 4));
            const bool direct = p_.type == float32;
            float* sums = direct ? reinterpret_cast<float*>(out_) + row * n_ + col
                                 : reinterpret_cast<float*>(memory(held_sums, rows * strip * 4));
            const int64_t out_row = direct ? n_ : strip;
            PanelScales scales;
            for (int64_t c = 0; c < cols; c += width)
              for (int64_t d = 0; d < depths; ++d) {
                const int64_t step = d * inner_panel, steps = std::min(inner_panel, k_ - step),
                              n = std::min(width, cols - c);
                expand_lines(k.expand_whole[slot_], col + c, step, steps, width, panel, scales);
                for (int64_t i = 0; i < pieces; ++i) {
                  const int64_t first = part(rows, pieces, i),
                                here = part(rows, pieces, i + 1) - first;
                  const uint32_t* of_piece = packed + first * each;
                  const float* x_scales = reinterpret_cast<const float*>(of_piece + pairs * here) +
                                          step / f_.group * here;
                  const uint32_t* of_rows = k.rows_apart ? lines + first * each + step / 2
                                                         : of_piece + step / 2 * here;
                  k.multiply({of_rows, panel, x_scales,
                              x_scales + groups_ * here, scales.scales.data(),
                              f_.has_biases() ? scales.biases.data() : nullptr, width,
                              steps / f_.group, f_.group / 2, sums + first * out_row + c, out_row,
                              int(here), int(n), d > 0, each, f_.codes != Codes::integers});
                }
              }
            if (!direct) write(sums, row, rows, col, cols, strip);
          },
          double(n_) * double(k_) *
              (double(rows) / (2 * macs_per_ns) + 1 / (2 * expanded_per_ns)));
    }
    return true;
  }

  // ---- plain loops, where the level has no panels, and float64
  template <class T>
  void by_tiles() const {
    Ref<Buffer> held_x;
    int64_t x_row = 0;
    const char* x = wide_rows(held_x, x_row);
    const auto tile = gemm_kernels().tile[index_of(dtype_of<T>)];
    cpu::parallel_for(
        parts(n_, strip),
        [&](int64_t s) {
          const int64_t col = s * strip, cols = std::min(strip, n_ - col);
          Ref<Buffer> held, held_out;
          T* panel = reinterpret_cast<T*>(memory(held, parts(k_, inner_panel) * inner_panel *
                                                           strip * int64_t(sizeof(T))));
          PanelScales scales;
          for (int64_t step = 0; step < k_; step += inner_panel) {
            const int64_t steps = std::min(inner_panel, k_ - step);
            if constexpr (std::is_same_v<T, float>)
              expand(col, step, steps, strip, false, panel + step * strip, scales);
            else expand_wide(col, cols, step, steps, panel + step * strip);
          }
          T* out = reinterpret_cast<T*>(out_) + col;
          const bool direct = p_.type == dtype_of<T>;
          if (!direct) out = reinterpret_cast<T*>(memory(held_out, rows_ * cols * 4));
          tile({x, panel, out, rows_, cols, k_, x_row, 1, strip, direct ? n_ : cols});
          if constexpr (std::is_same_v<T, float>)
            if (!direct) write(out, 0, rows_, col, cols, cols);
        },
        double(n_) * double(k_) * (double(rows_) + 4));
  }
  void expand_wide(int64_t col, int64_t cols, int64_t step, int64_t steps, double* to) const {
    const Scales scale(f_, p_.scale_type, p_.factor), bias(f_, p_.scale_type, 1, true);
    for (int64_t i = 0; i < steps; ++i)
      for (int64_t c = 0; c < cols; ++c) {
        const int64_t line = p_.transposed ? col + c : step + i,
                      at = p_.transposed ? step + i : col + c, g = line * groups_ + at / f_.group;
        const uint32_t code = code_at(w_.codes + line * line_bytes_, at, f_.bits);
        double v = number_of(f_.codes, code) * scale(w_.scales, g);
        if (f_.has_biases()) v += bias(w_.biases, g);
        to[i * strip + c] = v;
      }
  }

  const PackedProduct& p_;
  const PanelKernels& panels_;
  const QuantKernels& whole_;
  const Format& f_;
  const PackedMatrix& w_;
  const int slot_;
  const int64_t rows_, n_, k_, line_bytes_, groups_, each_, scale_each_;
  const char* x_ = nullptr;
  char* out_ = nullptr;
  int64_t x_row_ = 0;
  std::vector<float> of_bytes_;  // what scales that are bytes stand for
  Ref<Buffer> held_x_, held_out_;
};

}  // namespace

void packed_product(const PackedProduct& p, const PackedKernels& kernels) {
  const auto run = [&](int64_t i) {
    const PackedProduct::Part& one = p.parts[size_t(i)];
    if (one.count) Part(p, one, kernels);
  };
  const int64_t n = int64_t(p.parts.size());
  const double work = double(p.lines) * double(p.length);
  if (n < 8 && work > 1e5) {  // threads share each part
    for (int64_t i = 0; i < n; ++i) run(i);
    return;
  }
  cpu::parallel_for(n, run, double(p.rows.size()) * work / macs_per_ns + double(n) * 500);
}

}  // namespace lazulite::engine
