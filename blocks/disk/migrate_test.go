package disk_test

import (
	"encoding/base32"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/disk"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// old writes a store as format 1 had it: bs in files, all held under a lease and
// the first of them pinned.
func old(t *testing.T, fsys vfs.FS, dir string, bs []blocks.Block) blocks.Lease {
	t.Helper()
	write := func(path string, data []byte) {
		t.Helper()
		f, err := fsys.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(append([]byte(nil), data...))
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range bs {
		name := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b.Hash())
		shard := fsys.PathJoin(dir, "flatfs", name[len(name)-3:len(name)-1])
		if err := fsys.MkdirAll(shard, 0o700); err != nil {
			t.Fatal(err)
		}
		write(fsys.PathJoin(shard, name+".data"), b.RawData())
		write(fsys.PathJoin(shard, "put-1234"), []byte("half a bl"))
		write(fsys.PathJoin(shard, "NOTAMULTIHASH.data"), []byte("x"))
	}
	write(fsys.PathJoin(dir, "version"), []byte("1\n"))
	write(fsys.PathJoin(dir, "flatfs", "SHARDING"), []byte("/repo/flatfs/shard/v1/next-to-last/2\n"))
	if err := fsys.MkdirAll(fsys.PathJoin(dir, "flatfs", ".temp"), 0o700); err != nil {
		t.Fatal(err)
	}
	l := blockstest.Lease(1, 1, bs[0].Cid(), testStart)
	db, err := pebble.Open(fsys.PathJoin(dir, "ledger"), &pebble.Options{FS: fsys, FormatMajorVersion: pebble.FormatColumnarBlocks, Logger: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	id := l.ID()
	err = db.Set(append([]byte("l/"), id[:]...), l.Marshal(), pebble.Sync)
	for _, b := range bs {
		h := b.Hash()
		err = errors.Join(err, db.Set(append(append([]byte("h/"), h...), id[:]...), nil, pebble.Sync),
			db.Set(append(append([]byte("u/"), id[:]...), h...), nil, pebble.Sync))
	}
	pin := []byte(`{"root":{"/":"` + bs[0].Cid().String() + `"},"name":"a","size":7,"blocks":1,"time":"2026-01-02T03:04:05Z"}`)
	err = errors.Join(err, db.Set(append([]byte("p/"), bs[0].Cid().Bytes()...), pin, pebble.Sync), db.Close())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

// carried fails unless s has all that old wrote.
func carried(t *testing.T, s *disk.Store, l blocks.Lease, bs []blocks.Block) {
	t.Helper()
	n := 0
	for _, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != len(bs) || s.Count() != int64(len(bs)) {
		t.Fatalf("got %d blocks, %d held, want %d", n, s.Count(), len(bs))
	}
	for _, b := range bs {
		if _, err := s.Get(t.Context(), b.Cid()); err != nil {
			t.Fatal(err)
		}
		ls, err := s.Leases(t.Context(), b.Hash())
		if err != nil || len(ls) != 1 || ls[0].ID() != l.ID() {
			t.Fatalf("got leases %v, %v; want the one", ls, err)
		}
	}
	for p, err := range s.Pins(t.Context()) {
		if err != nil || p.Root != bs[0].Cid() || p.Name != "a" || p.Size != 7 {
			t.Fatalf("got pin %+v, %v", p, err)
		}
		n++
	}
	if n != len(bs)+1 {
		t.Fatalf("got %d pins, want 1", n-len(bs))
	}
}

func some(n int) (bs []blocks.Block) {
	for i := range n {
		bs = append(bs, block(uint64(i), 100*i))
	}
	return bs
}

func TestTheFirstFormatIsBroughtForward(t *testing.T) {
	dir, bs := t.TempDir(), some(40)
	l := old(t, vfs.Default, dir, bs)
	for range 2 {
		s := open(t, dir)
		carried(t, s, l, bs)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"flatfs", "ledger"} {
			if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is still there: %v", name, err)
			}
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "version")); string(text) != "2\n" {
		t.Errorf("version is %q, %v", text, err)
	}
}

// What the older program deletes between two tries must not come back.
func TestATryThatWasUndoneIsNotBelieved(t *testing.T) {
	dir, bs := t.TempDir(), some(10)
	l := old(t, vfs.Default, dir, bs[1:])
	s := open(t, dir)
	if err := s.Put(t.Context(), bs[0]); err != nil { // as if the first try had copied it
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	old(t, vfs.Default, dir, bs[1:])
	carried(t, open(t, dir), l, bs[1:])
}

func TestAMigrationMayBeCutAtAnyPoint(t *testing.T) {
	bs := some(12)
	mem := vfs.NewMem()
	l := old(t, mem, "store", bs)
	counted := &cutFS{FS: mem, limit: 1 << 30}
	s, err := disk.Open("store", disk.Config{FS: counted})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	total, cuts := counted.n.Load(), 0
	if total < 30 {
		t.Fatalf("a migration has %d steps, want to have counted more", total)
	}
	for limit := int64(1); limit < total; limit++ {
		mem = vfs.NewMem()
		old(t, mem, "store", bs)
		if s, err := disk.Open("store", disk.Config{FS: &cutFS{FS: mem, limit: limit}}); err != nil {
			cuts++
		} else {
			_ = s.Close() // cut while closing: as good as killed
		}
		s, err := disk.Open("store", disk.Config{FS: mem})
		if err != nil {
			t.Fatalf("after a cut at step %d of %d: %v", limit, total, err)
		}
		carried(t, s, l, bs)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if cuts < 20 {
		t.Errorf("only %d cuts fell into the migration", cuts)
	}
}
