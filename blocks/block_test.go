package blocks_test

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
	_ "github.com/multiformats/go-multihash/register/all"
	"pgregory.net/rapid"
)

func TestCheckTakesWhatNewMade(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		b := blocks.New(rapid.SampledFrom([]uint64{cid.Raw, cid.DagProtobuf}).Draw(t, "codec"), data)
		for _, c := range []cid.Cid{b.Cid(), blocks.Key(b.Hash()), cid.NewCidV0(b.Hash())} {
			got, err := blocks.Check(c, data)
			if err != nil || got.Cid() != c || !bytes.Equal(got.RawData(), data) || !bytes.Equal(got.Hash(), b.Hash()) {
				t.Fatalf("%s: got %s, %v", c, got.Cid(), err)
			}
		}
		i := rapid.IntRange(0, len(data)).Draw(t, "where")
		wrong := slices.Insert(slices.Clone(data), i, rapid.Byte().Draw(t, "more"))
		if b, err := blocks.Check(b.Cid(), wrong); !errors.Is(err, blocks.ErrMismatch) || b.RawData() != nil {
			t.Fatalf("got %v for other bytes, want ErrMismatch and no block", err)
		}
	})
}

func hashed(t *testing.T, code uint64, length int) mh.Multihash {
	t.Helper()
	h, err := mh.Sum([]byte("x"), code, length)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestFitSaysWhatIsHeldForOthers(t *testing.T) {
	sha := hashed(t, mh.SHA2_256, -1)
	for name, c := range map[string]struct {
		h    mh.Multihash
		size int
		ok   bool
	}{
		"sha2-256":        {sha, 0, true},
		"largest":         {sha, blocks.MaxSize, true},
		"too large":       {sha, blocks.MaxSize + 1, false},
		"negative":        {sha, -1, false},
		"sha2-512":        {hashed(t, mh.SHA2_512, -1), 1, true},
		"blake3":          {hashed(t, mh.BLAKE3, 32), 1, true},
		"blake2b-256":     {hashed(t, mh.BLAKE2B_MIN+31, -1), 1, true},
		"blake2b-512":     {hashed(t, mh.BLAKE2B_MAX, -1), 1, false},
		"sha1":            {hashed(t, mh.SHA1, -1), 1, false},
		"truncated":       {hashed(t, mh.SHA2_256, 20), 1, false},
		"identity":        {hashed(t, mh.IDENTITY, -1), 1, false},
		"nothing":         {nil, 1, false},
		"not minimal":     {slices.Concat(mh.Multihash{0x92, 0x00}, sha[1:]), 1, false},
		"cut":             {sha[:20], 1, false},
		"bytes behind it": {append(slices.Clone(sha), 0), 1, false},
	} {
		err := blocks.Fit(c.h, c.size)
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, blocks.ErrUnfit) {
			t.Errorf("%s: got %v, want fit: %v", name, err, c.ok)
		}
	}
}

// The fuzzer's find: a digest cut to nothing fits all bytes.
func TestAHashThatProvesNothingChecksNothing(t *testing.T) {
	for name, h := range map[string]mh.Multihash{
		"no digest":    {mh.SHA2_256, 0},
		"four bytes":   hashed(t, mh.SHA2_256, 4),
		"murmur3":      hashed(t, mh.MURMUR3X64_64, -1),
		"unregistered": {0x3f, 1, 0},
	} {
		if b, err := blocks.Check(blocks.Key(h), []byte("x")); !errors.Is(err, blocks.ErrUnfit) || b.RawData() != nil {
			t.Errorf("%s: got %v, want ErrUnfit", name, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	b := blocks.New(cid.Raw, []byte("hello"))
	f.Add(b.Cid().Bytes(), b.RawData())
	f.Add(cid.NewCidV0(b.Hash()).Bytes(), []byte("hell"))
	f.Add([]byte{1, 0x55, 0, 1, 'x'}, []byte("x")) // identity
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, key, data []byte) {
		c, err := cid.Cast(key)
		if err != nil {
			return
		}
		got, err := blocks.Check(c, data)
		if err != nil {
			if got.RawData() != nil || got.Cid().Defined() {
				t.Fatalf("%s: a block with error %v", c, err)
			}
			return
		}
		if !got.Cid().Equals(c) || !bytes.Equal(got.RawData(), data) {
			t.Fatalf("%s: got another block, %s", c, got.Cid())
		}
		if _, err := blocks.Check(c, append(slices.Clone(data), 0)); err == nil {
			t.Fatalf("%s: two contents", c)
		}
		_ = blocks.Fit(c.Hash(), len(data))
	})
}

func TestNotFoundIsFoundInEveryWrapping(t *testing.T) {
	c := blocks.New(cid.Raw, nil).Cid()
	miss := &blocks.MissError{CID: c, Asked: 7}
	for _, err := range []error{blocks.NotFound(c), miss, errors.Join(errors.New("x"), miss)} {
		if !blocks.IsNotFound(err) {
			t.Errorf("%v is not found to be NotFound", err)
		}
	}
	if blocks.IsNotFound(nil) || blocks.IsNotFound(blocks.ErrMismatch) {
		t.Error("something else is NotFound")
	}
	if !strings.Contains(miss.Error(), "asked 7 peers") {
		t.Errorf("got %q", miss)
	}
}

// Only who has just hashed bytes, or who has their checksum, may say that they
// were hashed. The fault injector lies on purpose.
func TestOnlySplittersAndTheStoreMakeBlocksUnchecked(t *testing.T) {
	allowed := map[string][]string{"Hashed": {"blocks/dag", "blocks/blockstest"}, "Stored": {"blocks/disk"}}
	top := moduleRoot(t)
	files := 0
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != top && (strings.HasPrefix(name, ".") || name == "testdata") {
			return fs.SkipDir
		}
		rel, err := filepath.Rel(top, path)
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		for name, rooms := range allowed {
			if mentions(t, path, name) && !slices.Contains(rooms, filepath.ToSlash(filepath.Dir(rel))) {
				t.Errorf("%s mentions blocks.%s: only %v may", rel, name, rooms)
			}
		}
		return nil
	})
	if err != nil || files < 10 {
		t.Fatalf("looked at %d files: %v", files, err)
	}
}

// mentions reports whether a file has name as a selector, whatever the name under
// which it imports blocks; or calls it within the package.
func mentions(t *testing.T, path, name string) (found bool) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			found = found || n.Sel.Name == name
		case *ast.CallExpr:
			id, ok := n.Fun.(*ast.Ident)
			found = found || ok && id.Name == name
		}
		return true
	})
	return found
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above")
		}
		dir = up
	}
}
