package crashfs

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
)

// Model is what of the operations that were not synced a crash leaves.
type Model uint8

// The models.
const (
	Keep    Model = iota // all of it
	Drop                 // nothing of it
	Reorder              // some of it: any subset of the writes and of the changes of names
	Tear512              // all of it, but of the last write only some sectors of 512 bytes
	Tear4K               // the same in pages of 4 KiB
)

func (m Model) String() string {
	return [...]string{"keep", "drop", "reorder", "tear 512 B", "tear 4 KiB"}[m]
}

// Models is all of them, for [Disk.Crashes].
func Models() []Model { return []Model{Keep, Drop, Reorder, Tear512, Tear4K} }

// Crash is a power cut.
type Crash struct {
	At    int // how many operations had been done
	Model Model
	Try   int // which of several random outcomes of one model
}

func (c Crash) String() string {
	return fmt.Sprintf("after %d operations, %s, try %d", c.At, c.Model, c.Try)
}

// Crashes yields every crash that may happen to d, from its beginning to now,
// with the disk that is found afterwards, whose tape is empty. A model named
// twice is tried twice where it is random; where nothing is unsynced, the models
// do not differ and only the first is tried. The same seed gives the same disks.
// The disks share nothing that is written to: each may be used by a goroutine of
// its own while the loop goes on.
func (d *Disk) Crashes(seed uint64, models ...Model) iter.Seq2[Crash, *Disk] {
	return func(yield func(Crash, *Disk) bool) {
		d.mu.Lock()
		tape, s := slices.Clip(d.tape), d.base.clone()
		d.mu.Unlock()
		var last op // the last write
		for at := range len(tape) + 1 {
			if at > 0 {
				s.apply(tape[at-1])
				if tape[at-1].kind == write {
					last = tape[at-1]
				}
			}
			tries := map[Model]int{}
			for i, m := range models {
				c := Crash{At: at, Model: m, Try: tries[m]}
				tries[m]++
				if i > 0 && !s.matters(m, last, c.Try) {
					continue
				}
				rng := rand.New(rand.NewPCG(seed, uint64(at)<<16|uint64(m)<<8|uint64(c.Try)))
				if !yield(c, newDisk(s.crash(m, last, rng))) {
					return
				}
			}
		}
	}
}

// matters reports whether m leaves anything else than another model.
func (s *state) matters(m Model, last op, try int) bool {
	switch m {
	case Tear512, Tear4K:
		n := s.inodes[last.ino]
		return n != nil && s.named(last.ino) && slices.ContainsFunc(n.pending, func(o op) bool { return o.at == last.at && o.kind == write })
	case Keep, Drop:
		if try > 0 {
			return false
		}
	}
	return s.unsynced(root, map[int]bool{})
}

// unsynced reports whether anything at or below i, on the disk or off it, is
// not on the disk.
func (s *state) unsynced(i int, seen map[int]bool) bool {
	if seen[i] {
		return false
	}
	seen[i] = true
	n := s.inodes[i]
	if len(n.pending) > 0 {
		return true
	}
	for _, j := range n.names { // nothing pending: those on the disk are the same
		if s.unsynced(j, seen) {
			return true
		}
	}
	return false
}

// named reports whether the file i has a name.
func (s *state) named(i int) bool {
	for _, d := range s.inodes {
		for _, j := range d.names {
			if j == i {
				return true
			}
		}
	}
	return false
}

// crash gives what m leaves of s.
func (s *state) crash(m Model, last op, rng *rand.Rand) *state {
	chance := []float64{0.1, 0.5, 0.9}[rng.IntN(3)]
	kept := map[int]bool{} // a rename stands in two directories, and happens in both
	keep := func(o op) bool {
		k, ok := kept[o.at]
		if !ok {
			k = rng.Float64() < chance
			kept[o.at] = k
		}
		return k
	}
	after := &state{inodes: make(map[int]*inode, len(s.inodes)), next: s.next}
	for i := 1; i < s.next; i++ { // in order, that the same seed gives the same
		n := s.inodes[i]
		if n == nil {
			continue
		}
		c := &inode{holes: n.holes}
		after.inodes[i] = c
		switch {
		case n.dir():
			c.names = n.left(m, i, keep)
		case m == Keep || len(n.pending) == 0:
			n.shared = true
			c.data = n.data
		case m == Drop:
			c.data = n.disk
		default:
			c.data, c.holes = slices.Clone(n.disk), nil
			for _, o := range n.pending {
				switch {
				case m == Reorder && !keep(o):
				case m != Reorder && o.at == last.at:
					c.data = tear(c.data, o, m, rng)
				default:
					c.data = change(c.data, o)
				}
			}
		}
	}
	return after.clone() // what has a name
}

// left gives the names that m leaves in the directory i.
func (n *inode) left(m Model, i int, keep func(op) bool) map[string]int {
	out := map[string]int{}
	from := n.names
	if m == Drop || m == Reorder {
		from = n.diskNames
	}
	for name, ino := range from {
		out[name] = ino
	}
	if m == Reorder {
		for _, o := range n.pending {
			if !keep(o) {
				continue
			}
			for _, e := range o.entries {
				if e.dir == i {
					set(out, e)
				}
			}
		}
	}
	return out
}

// tear does a write of which some sectors did not reach the disk: the last
// ones, or any; the length of the file may have reached it nevertheless.
func tear(data []byte, o op, m Model, rng *rand.Rand) []byte {
	sector := int64(512)
	if m == Tear4K {
		sector = 4096
	}
	end := o.off + int64(len(o.data))
	first, count := o.off/sector, (end-1)/sector-o.off/sector+1
	missing := rng.Int64N(count) // this one at least
	head := rng.IntN(2) == 0
	if rng.IntN(2) == 0 {
		data = change(data, op{kind: cut, off: max(end, int64(len(data)))})
	}
	for k := range count {
		if k == missing || head && k > missing || !head && rng.IntN(2) == 0 {
			continue
		}
		from, to := max((first+k)*sector, o.off), min((first+k+1)*sector, end)
		data = change(data, op{kind: write, off: from, data: o.data[from-o.off : to-o.off]})
	}
	return data
}
