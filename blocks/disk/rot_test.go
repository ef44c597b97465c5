package disk_test

import (
	"context"
	"encoding/binary"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk"
)

// rot flips one bit of each of bs where it lies in the files below dir, which it
// finds by its bytes, and answers how many copies it found.
func rot(t *testing.T, dir string, rng *rand.Rand, bs []blocks.Block) (flipped int) {
	t.Helper()
	begins := make(map[uint64]blocks.Block, len(bs))
	for _, b := range bs {
		begins[binary.LittleEndian.Uint64(b.RawData())] = b
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found := flipped
		for i := 0; i+8 <= len(data); i++ {
			b, ok := begins[binary.LittleEndian.Uint64(data[i:])]
			if ok && strings.HasPrefix(string(data[i:]), string(b.RawData())) {
				bit := rng.IntN(8 * len(b.RawData()))
				i += len(b.RawData()) - 1
				data[i-len(b.RawData())+1+bit/8] ^= 1 << (bit % 8)
				flipped++
			}
		}
		if flipped == found {
			return nil
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0) // in its place: the store has it open
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(data, 0); err != nil {
			return err
		}
		return f.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	return flipped
}

// filled puts n blocks of some hundred to some thousand bytes.
func filled(t *testing.T, n int, put func(context.Context, ...blocks.Block) error) (bs []blocks.Block) {
	t.Helper()
	for i := range n {
		bs = append(bs, block(uint64(i), 200+i%3000))
	}
	for i := 0; i < n; i += 500 {
		if err := put(t.Context(), bs[i:min(i+500, n)]...); err != nil {
			t.Fatal(err)
		}
	}
	return bs
}

func TestRottenBitsAreFoundAndHealedAndNeverServed(t *testing.T) {
	for name, reopen := range map[string]bool{"while it is open": false, "while it was closed": true} {
		t.Run(name, func(t *testing.T) {
			dir, rng := t.TempDir(), rand.New(rand.NewPCG(5, 5))
			s := open(t, dir)
			bs := filled(t, 10_000, s.Put)
			rotten := make(map[string]bool)
			var victims []blocks.Block
			for _, i := range rng.Perm(len(bs))[:1000] {
				rotten[string(bs[i].Hash())] = true
				victims = append(victims, bs[i])
			}
			if reopen {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if n := rot(t, dir, rng, victims); n != 1000 {
				t.Fatalf("flipped bits in %d blocks, want 1000", n)
			}
			if reopen {
				s = open(t, dir)
			}
			reported := verify(t, s)
			wrong, missed := 0, 0
			for h := range reported {
				if !rotten[h] {
					wrong++
				}
			}
			served := 0
			for _, b := range bs {
				got, err := s.Get(t.Context(), b.Cid())
				switch {
				case err == nil && string(got.RawData()) != string(b.RawData()):
					wrong++
				case err == nil:
					served++
				case !rotten[string(b.Hash())]:
					missed++
				}
			}
			if err := s.Put(t.Context(), victims...); err != nil {
				t.Fatal(err)
			}
			healed := 0
			for _, b := range victims {
				if got, err := s.Get(t.Context(), b.Cid()); err == nil && string(got.RawData()) == string(b.RawData()) {
					healed++
				}
			}
			left := verify(t, s)
			t.Logf("rot: 1000 of 10000 flipped; served %d right, %d wrong, %d sound ones missing; reported %d; healed %d, then reported %d",
				served, wrong, missed, len(reported), healed, len(left))
			if served != 9000 || wrong != 0 || missed != 0 || len(reported) != 1000 || healed != 1000 || len(left) != 0 {
				t.Error("that is not what was promised")
			}
		})
	}
}

// A store that checks nothing serves the same flips: the test above does flip bits.
func TestControlAStoreThatDoesNotCheckServesRot(t *testing.T) {
	dir := t.TempDir()
	f, err := openFlat(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	bs := filled(t, 1000, f.put)
	if n := rot(t, dir, rand.New(rand.NewPCG(5, 5)), bs[:100]); n != 100 {
		t.Fatalf("flipped bits in %d blocks, want 100", n)
	}
	wrong := 0
	for _, b := range bs {
		if err := f.view(t.Context(), b.Hash(), func(data []byte) error {
			if string(data) != string(b.RawData()) {
				wrong++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if t.Logf("control, Kubo's layout: served %d wrong of 100 flipped", wrong); wrong != 100 {
		t.Errorf("served %d wrong, want all 100", wrong)
	}
}

// verify gives the keys of the blocks that the store itself finds wrong.
func verify(t *testing.T, s *disk.Store) map[string]bool {
	t.Helper()
	r, err := s.Verify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, h := range r.Bad {
		out[string(h)] = true
	}
	return out
}
