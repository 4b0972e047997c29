// How a block program runs on this CPU: where each virtual register lies, in what order its
// instructions run, how many elements a block has. Made once per program, in proportion to its
// length; data only, read by the runner (block.cpp).
//
// Where all operands are dense, blocks are runs of the domain. Otherwise they are tiles of its last
// axis and one other: parts of one row, so that operands whose rows are dense are still read and
// written where they lie; or squares, where an operand is transposed.
//
// A register is
//   a load or store   in the array itself: dense operands are read and written in place
//   a single          one vector that repeats: constants, scalars, and what is computed of them
//   alone a place           a block in the first-level cache, used again as soon as its value is
//   read last
#pragma once
#include <vector>

#include "device/cpu/expressions.h"
#include "device/program.h"

namespace lazulite::cpu {

struct Place {
  enum Kind : uint8_t { none, block, single, load, store };
  Kind kind = none;
  uint32_t at = 0;
  bool operator==(const Place&) const = default;
};

struct Step {
  enum Kind : uint8_t { kernel, gather, scatter };
  Kind kind = kernel;
  uint32_t port = 0;      // of a gather or a scatter
  Kernel run = nullptr;
  const void* code = nullptr;  // of an expression
  Place out;
  SmallVector<Place, 3> in;
};

// A register of one repeated vector: from a constant or from a load's first element.
struct Single {
  uint32_t at;
  const Immediate* number;  // or null
  uint32_t port = 0;
};

// Blocks that are tiles: `grid` says how many there are along each axis of the shape.
struct Tiles {
  Shape grid;
  int axis = -1;  // of their rows; -1: a tile is a part of one row
  int64_t rows = 1, columns = 0;
  int64_t count = 0;  // 0: blocks are runs
  int64_t unit(int along) const {
    return along == int(grid.size()) - 1 ? columns : along == axis ? rows : 1;
  }
};

class Layout {
  const std::unique_ptr<const Joined> joined_;

 public:
  // shared[k]: the load whose memory store k writes over, or -1; empty where no store does.
  explicit Layout(const BlockProgram&, const SmallVector<int, 4>& shared = {});

  // False when a store would write over a load that is still to be read.
  bool allows(const SmallVector<int, 4>& shared) const;

  const uint64_t id;                // of no other layout, before or later
  const BlockProgram& program;      // with instructions that became one
  Shape shape;                      // the domain, collapsed; where an operand is not dense
  SmallVector<Strides, 4> strides;  // of loads, then stores
  int64_t size = 0;
  bool streams = false;             // some results go around the caches
  bool raw_copy = false;            // nothing but moving: halves are not converted

  SmallVector<Step, 8> once, code;  // `once`: of single registers
  SmallVector<Single, 4> singles;
  SmallVector<Single, 2> of_row;    // singles that each row has anew
  SmallVector<Place, 2> filled;     // pairs: a block that is filled from a single before all
  int blocks = 0, single_count = 0;
  int64_t block = 0, register_bytes = 0;
  int64_t chunk = 0;                // elements, or tiles, that a thread takes at a time
  Tiles tiles;
  // By axis of the grid and port: bytes from a tile to the next one along it, where all later axes
  // begin anew.
  SmallVector<int64_t, 12> tile_steps;
  static constexpr int64_t group = 64;         // elements to which blocks are padded
  static constexpr int64_t single_bytes = 128;  // a vector, or the two of a complex one

  // Some block ends inside of a group of elements.
  bool has_tails() const {
    return size % group || wrap % group ||
           (tiles.count && (shape.back() % group || tiles.axis >= 0));
  }
  // The array of this load, or store behind the loads, is dense: read and written where it lies.
  bool in_place(size_t port) const { return access_[port] == Access::direct; }
  // What an array is as the only one: fewer axes than the domain has, mostly.
  struct View {
    Shape shape;
    Strides strides;
  };
  const View& view(size_t port) const { return views_[port]; }
  // Of a load that is gathered: after so many elements it begins anew, and a block that begins in
  // the same place of it has the same elements, as long as both lie in one `span`, behind which
  // other elements repeat. 0: never.
  int64_t period(size_t load) const { return load < periods_.size() ? periods_[load] : 0; }
  int64_t span(size_t load) const { return spans_[load]; }
  // Elements after which loads that are one long run again and again begin anew; 0: there are none.
  // No block goes beyond that, so that they are read where they lie.
  int64_t wrap = 0;
  bool wraps(size_t port) const { return port < wraps_.size() && wraps_[port]; }
  bool reads_scalars() const {  // singles that are not the same in each run
    for (const Single& single : singles)
      if (!single.number) return true;
    return false;
  }
  // A program that only moves may read halves as float32, and write float32 as halves.
  bool converts(const Port& port) const {
    return is_half(port.type) && program.code.empty() && !raw_copy;
  }

 private:
  enum class Access : uint8_t { direct, repeated, of_row, gathered };
  struct Value {
    Place place;
    int32_t port = -1;    // of a load that is not in its place yet
    int32_t last = -1;    // the instruction, by its place in the order, that reads it last
    int32_t stored = -1;  // when it is stored last
    bool single = false;
    bool kept = false;  // a block that nothing else is put in
  };
  struct Storing {
    int32_t when;
    uint32_t store;
  };

  void describe_memory();
  void describe_views();
  void find_own_views();
  void find_periods();
  void find_wraps();
  void set_period(size_t load, int64_t period, int64_t span);
  void find_streams(const SmallVector<int, 4>& shared);
  void find_values();
  void find_row_singles();
  int64_t most_blocks() const;
  void order_anew(const SmallVector<int, 4>& shared);
  void find_lives(const SmallVector<int, 4>& shared);
  void place_values();
  void choose_sizes();
  void choose_tiles();
  void find_tile_steps();

  int peak(const SmallVector<uint32_t, 16>& order) const;
  void depth_first(SmallVector<uint32_t, 16>& order) const;
  bool needs_block(uint32_t value) const {
    return !values_[value].single && values_[value].place.kind == Place::none;
  }
  uint32_t take();
  Place block_for(uint32_t value);  // of a load
  void give(uint32_t value);
  void load(uint32_t value, Place to);
  void place_instruction(int32_t when, uint32_t index);
  void store(const Storing&, int32_t when);
  Place in_block(uint32_t value);

  SmallVector<Access, 8> access_;
  SmallVector<int64_t, 8> periods_, spans_;  // by load; empty where none has one
  SmallVector<bool, 8> wraps_;               // by load; empty where none does
  SmallVector<View, 4> views_;  // of those that are gathered, where there are no tiles
  SmallVector<bool, 4> streams_;  // by store
  SmallVector<Value, 16> values_;
  SmallVector<uint32_t, 16> order_;    // of the code that is not single
  SmallVector<Storing, 4> storing_;    // in order
  SmallVector<int32_t, 8> load_end_;   // the last instruction that reads its memory
  SmallVector<int32_t, 4> store_at_;   // when each store writes its memory
  SmallVector<uint32_t, 16> free_;
};

}  // namespace lazulite::cpu
