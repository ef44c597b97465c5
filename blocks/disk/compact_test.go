package disk_test

import (
	"errors"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestCompactGivesTheSpaceBack(t *testing.T) {
	dir := t.TempDir()
	cfg := disk.Config{SegmentSize: 64 << 10}
	s, err := disk.Open(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var bs, dead, want []blocks.Block
	for i := range uint64(300) {
		b := block(i, 3000)
		if bs = append(bs, b); i%5 == 0 {
			want = append(want, b)
		} else {
			dead = append(dead, b)
		}
		if err := s.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	l := blockstest.Lease(1, 1, bs[0].Cid(), testStart)
	if err := errors.Join(
		s.Hold(t.Context(), l, hashes(want)...),
		s.Pin(t.Context(), blocks.Pin{Root: want[0].Cid(), Name: "a", Size: 7}),
		s.Delete(t.Context(), hashes(dead)...),
	); err != nil {
		t.Fatal(err)
	}
	before, err := s.Stat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var last int64
	r, err := s.Compact(t.Context(), func(done, total int64) {
		if done <= last || done > total {
			t.Errorf("told %d of %d after %d", done, total, last)
		}
		last = done
	})
	if err != nil {
		t.Fatal(err)
	}
	after, err := s.Stat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Segments < 10 || after.Segments > before.Segments/2 || after.Disk > 2*after.Bytes {
		t.Errorf("%+v; before %+v, after %+v", r, before, after)
	}
	if after.Blocks != int64(len(want)) || before.Blocks != after.Blocks || before.Bytes != after.Bytes {
		t.Errorf("before %+v, after %+v", before, after)
	}
	for _, how := range []disk.Config{cfg, cfg, {Rebuild: true}} {
		carried(t, s, l, want)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = disk.Open(dir, how); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
	}
	carried(t, s, l, want)
}

// What was rotten in a segment that is compacted stays known as rotten.
func TestCompactionCarriesNoRotAlong(t *testing.T) {
	dir := t.TempDir()
	s, err := disk.Open(dir, disk.Config{SegmentSize: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var bs []blocks.Block
	for i := range uint64(40) {
		b := block(i, 2000)
		bs = append(bs, b)
		if err := s.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	damage(t, dir, bs[2], func(d []byte) { d[100] ^= 1 })
	if err := s.Delete(t.Context(), bs[0].Hash(), bs[1].Hash(), bs[3].Hash(), bs[4].Hash(), bs[5].Hash()); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Compact(t.Context(), nil); err != nil || r.Segments == 0 {
		t.Fatalf("got %+v, %v", r, err)
	}
	for _, how := range []disk.Config{{}, {Rebuild: true}} {
		if r := verified(t, s); r.Checked != 34 || len(r.Bad) != 1 {
			t.Fatalf("%d checked, %d bad; want 34 and 1", r.Checked, len(r.Bad))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = disk.Open(dir, how); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
	}
}

// The machine is cut off at every step of a compaction in turn, with and without
// its index: what was deleted stays deleted, what is there stays there.
func TestACompactionMayBeCutAtAnyPoint(t *testing.T) {
	if pebbleChecksItself {
		t.Skip("SKIP: pebble ends the process here under the race detector; make test runs it")
	}
	bs := some(60)
	cfg := disk.Config{SegmentSize: 8 << 10}
	furnish := func(mem *vfs.MemFS) (want []blocks.Block, l blocks.Lease) {
		t.Helper()
		c := cfg
		c.FS = mem
		s, err := disk.Open("store", c)
		if err != nil {
			t.Fatal(err)
		}
		for i := range bs {
			if err := s.Put(t.Context(), bs[i]); err != nil {
				t.Fatal(err)
			}
		}
		want, l = furnished(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return want, l
	}
	compact := func(fs vfs.FS) error {
		c := cfg
		c.FS = fs
		s, err := disk.Open("store", c)
		if err != nil {
			return err
		}
		_, err = s.Compact(t.Context(), nil)
		return errors.Join(err, s.Close())
	}
	mem := vfs.NewMem()
	furnish(mem)
	counted := &cutFS{FS: mem, limit: 1 << 30}
	if err := compact(counted); err != nil {
		t.Fatal(err)
	}
	total, cuts := counted.n.Load(), 0
	for limit := int64(1); limit < total; limit += 1 + total/50 {
		mem = vfs.NewMem()
		want, l := furnish(mem)
		if compact(&cutFS{FS: mem, limit: limit}) != nil {
			cuts++
		}
		for _, rebuild := range []bool{limit%2 == 0, true} {
			c := cfg
			c.FS, c.Rebuild = mem, rebuild
			s, err := disk.Open("store", c)
			if err != nil {
				t.Fatalf("after a cut at step %d of %d: %v", limit, total, err)
			}
			carried(t, s, l, want)
			if _, err := s.Compact(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			carried(t, s, l, want)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if total < 30 || cuts < 20 {
		t.Errorf("%d steps, %d cuts: want more of both", total, cuts)
	}
}
