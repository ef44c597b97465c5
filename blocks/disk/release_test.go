package disk_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
	mh "github.com/multiformats/go-multihash"
)

// What a lease has let go of does not come back, neither by a compaction nor with an
// index that is made anew, and what it holds again is held.
func TestWhatWasReleasedStaysReleased(t *testing.T) {
	dir, rnd := t.TempDir(), rand.New(rand.NewPCG(3, 1))
	open := func(how disk.Config) *disk.Store {
		t.Helper()
		how.SegmentSize = 16 << 10
		s, err := disk.Open(dir, how)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open(disk.Config{})
	var hs []mh.Multihash
	for i := range uint64(60) {
		b := block(i, 700)
		if err := s.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		hs = append(hs, b.Hash())
	}
	leases := []blocks.Lease{blockstest.Lease(1, 1, block(1, 1).Cid(), testStart), blockstest.Lease(2, 1, block(2, 1).Cid(), testStart)}
	want := map[string]bool{} // lease and hash
	name := func(l blocks.Lease, h mh.Multihash) string { return fmt.Sprint(l.ID(), h.B58String()) }
	check := func(when string) {
		t.Helper()
		got, held := map[string]bool{}, map[string]bool{}
		for x, err := range s.Held(t.Context()) {
			if err != nil {
				t.Fatal(when, err)
			}
			for _, l := range x.Leases {
				got[name(l, x.Hash)], held[string(x.Hash)] = true, true
			}
		}
		if !maps.Equal(got, want) || s.Count() != int64(len(held)) {
			t.Fatalf("%s: %d are held, %d counted; want %d", when, len(got), s.Count(), len(want))
		}
	}
	for round := range 40 {
		l := leases[rnd.IntN(len(leases))]
		some := slices.DeleteFunc(slices.Clone(hs), func(mh.Multihash) bool { return rnd.IntN(3) > 0 })
		do, to := s.Release, false
		if rnd.IntN(2) == 0 {
			do, to = nil, true
			if err := s.Hold(t.Context(), l, some...); err != nil {
				t.Fatal(err)
			}
		}
		if do != nil {
			if err := do(t.Context(), l.ID(), some...); err != nil {
				t.Fatal(err)
			}
		}
		for _, h := range some {
			if delete(want, name(l, h)); to {
				want[name(l, h)] = true
			}
		}
		check(fmt.Sprint("round ", round))
		switch round % 4 {
		case 1:
			gone := hs[rnd.IntN(len(hs))] // so that segments are worth a compaction
			if err := s.Delete(t.Context(), gone); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Compact(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			check("compacted")
		case 3:
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(disk.Config{Rebuild: round%8 == 3})
			check("opened again")
		}
	}
	if err := s.Delete(t.Context(), hs...); err != nil {
		t.Fatal(err)
	}
	r, err := s.Compact(t.Context(), nil)
	if err != nil || r.Segments == 0 {
		t.Fatalf("%+v, %v: want segments compacted, or the test proves little", r, err)
	}
	check("all blocks gone, compacted")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(disk.Config{Rebuild: true})
	check("rebuilt")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A release outlives every older record of the holding, wherever that stands.
func TestACompactionKeepsReleasesThatAreNeeded(t *testing.T) {
	dir, l := t.TempDir(), blockstest.Lease(1, 1, block(1, 1).Cid(), testStart)
	s, err := disk.Open(dir, disk.Config{SegmentSize: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	var kept, junk []mh.Multihash
	put := func(i uint64) mh.Multihash {
		b := block(i, 1000)
		if err := s.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		return b.Hash()
	}
	for i := range uint64(20) { // segments that stay dense; the hold is among them
		if kept = append(kept, put(i)); i == 9 {
			if err := s.Hold(t.Context(), l, kept...); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range uint64(60) { // segments that are emptied; the release is among them
		if junk = append(junk, put(100+i)); i == 30 {
			if err := s.Release(t.Context(), l.ID(), kept[:5]...); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Delete(t.Context(), junk...); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Compact(t.Context(), nil); err != nil || r.Segments < 3 {
		t.Fatalf("%+v, %v: want the emptied segments compacted", r, err)
	}
	for _, how := range []disk.Config{{}, {Rebuild: true}} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = disk.Open(dir, how); err != nil {
			t.Fatal(err)
		}
		var under []mh.Multihash
		for h, err := range s.Under(t.Context(), l.ID()) {
			if err != nil {
				t.Fatal(err)
			}
			under = append(under, h)
		}
		if len(under) != 5 || s.Count() != 5 {
			t.Errorf("%+v: %d blocks are held, %d counted; want the 5 that were not released", how, len(under), s.Count())
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
