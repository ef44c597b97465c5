package disk_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
	mh "github.com/multiformats/go-multihash"
)

func verified(t *testing.T, s *disk.Store) disk.Report {
	t.Helper()
	var last, total int64
	r, err := s.Verify(t.Context(), func(done, all int64) {
		if done < last || all < done {
			t.Errorf("told %d of %d after %d", done, all, last)
		}
		last, total = done, all
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != total || last != r.Bytes {
		t.Errorf("told %d of %d at last, the report has %d bytes", last, total, r.Bytes)
	}
	return r
}

func TestVerifyFindsWhatHasRottedAndPutMendsIt(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var bs []blocks.Block
	for i := range uint64(200) {
		bs = append(bs, block(i, 1000+int(i)))
	}
	if err := s.Put(t.Context(), bs...); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), block(1000, 10)); err != nil { // what rots was written long ago
		t.Fatal(err)
	}
	if r := verified(t, s); r.Checked != 201 || len(r.Bad) != 0 {
		t.Fatalf("of a whole store: %+v", r)
	}
	var want []string
	for i := 0; i < len(bs); i += 10 {
		damage(t, dir, bs[i], func(d []byte) { d[i] ^= 1 << (i % 8) })
		want = append(want, string(bs[i].Hash()))
	}
	slices.Sort(want)
	for round, how := range []disk.Config{{}, {}, {Rebuild: true}, {ReadOnly: true}} {
		if round > 0 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			var err error
			if s, err = disk.Open(dir, how); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
		}
		r := verified(t, s)
		var got []string
		for _, h := range r.Bad {
			got = append(got, string(h))
		}
		if slices.Sort(got); !slices.Equal(got, want) || r.Checked != 181 {
			t.Fatalf("round %d: %d checked, %d bad; want 181 and these %d", round, r.Checked, len(got), len(want))
		}
		if st, err := s.Stat(t.Context()); err != nil || st.Quarantined != int64(len(want)) || st.Blocks != 181 {
			t.Errorf("round %d: %+v, %v", round, st, err)
		}
		for i := 0; i < len(bs); i += 10 {
			_, err := s.Get(t.Context(), bs[i].Cid())
			if !errors.Is(err, blocks.ErrMismatch) || !blocks.IsNotFound(err) {
				t.Fatalf("round %d: get of a bad one gave %v, want ErrMismatch and NotFound", round, err)
			}
			if ok, err := s.Has(t.Context(), bs[i].Hash()); ok || err != nil {
				t.Fatalf("round %d: has of a bad one gave %v, %v", round, ok, err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, how := range []disk.Config{{}, {}, {Rebuild: true}} {
		s, err := disk.Open(dir, how)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), bs...); err != nil {
			t.Fatal(err)
		}
		if r := verified(t, s); r.Checked != 201 || len(r.Bad) != 0 {
			t.Fatalf("of a mended store: %d checked, %d bad", r.Checked, len(r.Bad))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A header that has rotted hides its record from the scan, not from Verify.
func TestVerifyFindsWhatHasLostItsHeader(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	a, b, c := block(1, 500), block(2, 500), block(3, 500)
	for _, x := range []blocks.Block{a, b, c} {
		if err := s.Put(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	path := segments(t, dir)[0]
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[bytes.Index(data, b.RawData())-10] ^= 1 // in the key
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := verified(t, s); len(r.Bad) != 1 || !bytes.Equal(r.Bad[0], b.Hash()) || r.Checked != 2 {
		t.Fatalf("got %+v", r)
	}
}

// Where the checksum has rotted and the bytes have not, nothing is lost.
func TestABlockOutlivesItsChecksum(t *testing.T) {
	dir, b := t.TempDir(), block(1, 500)
	s := open(t, dir)
	if err := errors.Join(s.Put(t.Context(), b), s.Put(t.Context(), block(2, 10))); err != nil {
		t.Fatal(err)
	}
	path := segments(t, dir)[0]
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[bytes.Index(data, b.RawData())+500] ^= 1
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), b.Cid()); err != nil || !bytes.Equal(got.RawData(), b.RawData()) {
		t.Fatalf("got %v", err)
	}
	before, err := s.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r := verified(t, s); len(r.Bad) != 0 || r.Checked != 2 {
		t.Fatalf("got %+v", r)
	}
	if after, err := s.Usage(t.Context()); err != nil || after <= before {
		t.Errorf("the record was not written again: %d bytes before, %d after, %v", before, after, err)
	}
}

func TestFilesThatAreNoSegmentsDoNoHarm(t *testing.T) {
	for name, data := range map[string][]byte{
		"seg-00000009.log":   blockstest.Random(1, 5000),
		"seg-00000000.log":   blockstest.Random(2, 5000),
		"seg-00000007.log":   nil,
		"seg-4294967295.log": []byte("cairnlog"),
		"seg-1.log":          []byte("x"),
		"seg-00000002.logx":  []byte("x"),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			want, l := furnished(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
			for i, how := range []disk.Config{{}, {Rebuild: true}, {}} {
				s, err := disk.Open(dir, how)
				if err != nil {
					t.Fatal(err)
				}
				carried(t, s, l, want)
				b := block(uint64(5000+i), 100)
				if err := s.Put(t.Context(), b); err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(s.Hold(t.Context(), l, b.Hash()), s.Close()); err != nil {
					t.Fatal(err)
				}
				want = append(want, b)
			}
		})
	}
}

func hashes(bs []blocks.Block) (hs []mh.Multihash) {
	for _, b := range bs {
		hs = append(hs, b.Hash())
	}
	return hs
}
