package disk_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// model is what a store has promised.
type model struct {
	there map[int]bool // blocks
	pins  map[int]bool
	held  map[int]bool
}

// The power goes off at any moment between calls, and takes any part of what was
// not synced. All that was promised is there, and nothing that was deleted.
func TestAPowerCutTakesNothingThatWasPromised(t *testing.T) {
	bs := some(20)
	rapid.Check(t, func(t *rapid.T) {
		cfg := disk.Config{SegmentSize: 8 << 10}
		mem := vfs.NewCrashableMem()
		cfg.FS = mem
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := mem.MkdirAll("store", 0o700); err != nil {
			t.Fatal(err)
		}
		if d, err := mem.OpenDir(""); err == nil {
			must(errors.Join(d.Sync(), d.Close()))
		}
		s, err := disk.Open("store", cfg)
		must(err)
		m := model{map[int]bool{}, map[int]bool{}, map[int]bool{}}
		lease := blockstest.Lease(1, 1, bs[0].Cid(), testStart)
		ctx := t.Context()
		pick := rapid.IntRange(0, len(bs)-1)
		check := func(t *rapid.T) {
			for i, b := range bs {
				got, err := s.Get(ctx, b.Cid())
				if m.there[i] != (err == nil) || err != nil && !blocks.IsNotFound(err) {
					t.Fatalf("block %d: %v, want it there: %v", i, err, m.there[i])
				}
				if err == nil && !bytes.Equal(got.RawData(), b.RawData()) {
					t.Fatalf("block %d has other bytes", i)
				}
				if ls, err := s.Leases(ctx, b.Hash()); err != nil || (len(ls) == 1) != m.held[i] {
					t.Fatalf("block %d: %d leases, %v, want it held: %v", i, len(ls), err, m.held[i])
				}
			}
			n := 0
			for _, err := range s.Pins(ctx) {
				must(err)
				n++
			}
			if n != len(m.pins) || s.Count() != int64(len(m.held)) {
				t.Fatalf("%d pins, %d held; want %d and %d", n, s.Count(), len(m.pins), len(m.held))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": check,
			"put": func(t *rapid.T) {
				var batch []blocks.Block
				for _, i := range rapid.SliceOfN(pick, 1, 5).Draw(t, "blocks") {
					batch, m.there[i] = append(batch, bs[i]), true
				}
				must(s.Put(ctx, batch...))
			},
			"delete": func(t *rapid.T) {
				for _, i := range rapid.SliceOfN(pick, 1, 5).Draw(t, "blocks") {
					must(s.Delete(ctx, bs[i].Hash()))
					delete(m.there, i)
				}
			},
			"hold": func(t *rapid.T) {
				i := pick.Draw(t, "block")
				must(s.Hold(ctx, lease, bs[i].Hash()))
				m.held[i] = true
			},
			"pin": func(t *rapid.T) {
				i := pick.Draw(t, "block")
				must(s.Pin(ctx, blocks.Pin{Root: bs[i].Cid()}))
				m.pins[i] = true
			},
			"unpin": func(t *rapid.T) {
				i := pick.Draw(t, "block")
				must(s.Unpin(ctx, bs[i].Cid()))
				delete(m.pins, i)
			},
			"compact": func(*rapid.T) {
				_, err := s.Compact(ctx, nil)
				must(err)
			},
			"reopen": func(t *rapid.T) {
				must(s.Close())
				cfg.Rebuild = rapid.Bool().Draw(t, "rebuild")
				s, err = disk.Open("store", cfg)
				must(err)
			},
			"power cut": func(t *rapid.T) {
				seed := rapid.Uint64().Draw(t, "seed")
				after := mem.CrashClone(vfs.CrashCloneCfg{
					UnsyncedDataPercent: rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "kept"),
					RNG:                 rand.New(rand.NewPCG(seed, seed)),
				})
				_ = s.Close() // the machine that is no more
				mem = after
				cfg.FS, cfg.Rebuild = mem, rapid.Bool().Draw(t, "rebuild")
				s, err = disk.Open("store", cfg)
				must(err)
			},
		})
		must(s.Close())
	})
}

// sick is a file system whose segments cannot be written when fault says so.
type sick struct {
	vfs.FS
	mu    sync.Mutex
	fault error // guarded by mu
}

func (s *sick) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
}

func (s *sick) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

func (s *sick) OpenReadWrite(name string, k vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	if err := s.err(); err != nil {
		return nil, err
	}
	f, err := s.FS.OpenReadWrite(name, k, o...)
	if err != nil {
		return nil, err
	}
	return &sickFile{f, s}, nil
}

type sickFile struct {
	vfs.File
	s *sick
}

func (f *sickFile) SyncData() error {
	if err := f.s.err(); err != nil {
		return err
	}
	return f.File.SyncData()
}

func TestADiskThatFailsIsReadAndUsedAgainWhenItWorks(t *testing.T) {
	for _, fault := range []error{syscall.EIO, syscall.ENOSPC, syscall.EROFS} {
		t.Run(fault.Error(), func(t *testing.T) {
			mem := vfs.NewMem()
			fs := &sick{FS: mem}
			s := openFS(t, fs, "store")
			a, b := block(1, 3000), block(2, 3000)
			if err := s.Put(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			fs.set(fault)
			l := blockstest.Lease(1, 1, a.Cid(), testStart)
			for what, call := range map[string]func() error{
				"put":             func() error { return s.Put(t.Context(), b) },
				"delete":          func() error { return s.Delete(t.Context(), a.Hash()) },
				"hold":            func() error { return s.Hold(t.Context(), l, a.Hash()) },
				"put of the same": func() error { return s.Put(t.Context(), b) },
			} {
				if err := call(); !errors.Is(err, fault) || errors.Is(err, blocks.ErrFull) != (fault == syscall.ENOSPC) {
					t.Errorf("%s: got %v, want the fault", what, err)
				}
			}
			if err := s.Put(t.Context(), a); !errors.Is(err, fault) {
				t.Errorf("put of what is there: got %v; its deletion may stand in the log", err)
			}
			if got, err := s.Get(t.Context(), a.Cid()); err != nil || !bytes.Equal(got.RawData(), a.RawData()) {
				t.Errorf("reading does not go on: %v", err)
			}
			if ok, err := s.Has(t.Context(), b.Hash()); ok || err != nil {
				t.Errorf("has of what failed: %v, %v", ok, err)
			}
			fs.set(nil)
			if err := errors.Join(s.Put(t.Context(), a), s.Hold(t.Context(), l, a.Hash())); err != nil {
				t.Fatalf("it works again: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s, err := disk.Open("store", disk.Config{FS: mem, Rebuild: true})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Get(t.Context(), a.Cid()); err != nil {
				t.Errorf("what was promised after the fault is gone: %v", err)
			}
			if ok, err := s.Has(t.Context(), b.Hash()); ok || err != nil {
				t.Errorf("what failed is back: %v, %v", ok, err)
			}
		})
	}
}
