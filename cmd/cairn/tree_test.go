package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/ipfs/go-cid"
)

// stranger is a node that answers with trees no honest one has, and looks at what it is
// given as it comes.
type stranger struct {
	api.Node
	dirs map[cid.Cid][]blocks.Entry
	item func(it blocks.Item) // before its body is read

	mu   sync.Mutex // guards what follows: a put that was given up may still be ending
	got  []string   // of the last put that was whole
	puts int
}

func (s *stranger) Room(context.Context, int64) error { return nil }

var (
	top   = blocks.New(cid.DagProtobuf, []byte("top")).Cid()
	sub   = blocks.New(cid.DagProtobuf, []byte("sub")).Cid()
	evil  = []byte("evil bytes")
	leaf  = blocks.New(cid.Raw, evil).Cid()
	empty = blocks.Stat{CID: top, Kind: blocks.KindDir}
)

func (s *stranger) Stat(context.Context, string) (blocks.Stat, error) { return empty, nil }
func (s *stranger) List(_ context.Context, path string) iter.Seq2[blocks.Entry, error] {
	return func(yield func(blocks.Entry, error) bool) {
		c, err := cid.Decode(path)
		if err != nil {
			yield(blocks.Entry{}, err)
			return
		}
		for _, e := range s.dirs[c] {
			if !yield(e, nil) {
				return
			}
		}
	}
}
func (s *stranger) Open(context.Context, string) (api.File, error) {
	return evilFile{bytes.NewReader(evil)}, nil
}
func (s *stranger) PutTree(_ context.Context, items iter.Seq2[blocks.Item, error], o blocks.PutOptions, _ func(blocks.Progress)) (blocks.Receipt, error) {
	var got []string
	s.mu.Lock()
	s.puts++
	s.mu.Unlock()
	for it, err := range items {
		if err == nil && it.Body != nil {
			if s.item != nil {
				s.item(it)
			}
			_, err = io.Copy(io.Discard, it.Body)
		}
		if err != nil {
			return blocks.Receipt{}, err
		}
		got = append(got, it.Path)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = got
	return blocks.Receipt{Root: top, Name: o.Name}, nil
}

type evilFile struct{ *bytes.Reader }

func (evilFile) CID() cid.Cid { return leaf }
func (evilFile) Close() error { return nil }

// against runs the command line against s.
func against(t *testing.T, s *stranger, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	srv := httptest.NewServer(api.New(s, api.Config{Token: "secret"}))
	defer srv.Close()
	t.Setenv("CAIRN_TOKEN", "secret")
	var out, err bytes.Buffer
	p := &program{in: strings.NewReader(""), out: &out, err: &err}
	root := p.root()
	root.SetArgs(append(args, "--api", srv.URL, "--home", filepath.Join(t.TempDir(), "none")))
	return p.exit(root.ExecuteContext(t.Context())), out.String(), err.String()
}

func entry(name string, kind blocks.Kind, c cid.Cid, target string) blocks.Entry {
	return blocks.Entry{Name: name, Kind: kind, CID: c, Size: 10, Target: target}
}

// Whatever a tree says, no byte is written outside of its own directory, and a get
// that fails leaves nothing.
func TestNoTreeWritesOutsideOfItself(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	file := func(name string) []blocks.Entry { return []blocks.Entry{entry(name, blocks.KindFile, leaf, "")} }
	through := func(target string) map[cid.Cid][]blocks.Entry { // a symlink, and a directory of its name
		return map[cid.Cid][]blocks.Entry{top: {entry("a", blocks.KindSymlink, sub, target), entry("a", blocks.KindDir, sub, "")}, sub: file("x")}
	}
	deep := map[cid.Cid][]blocks.Entry{top: {entry("d", blocks.KindDir, top, "")}} // in itself
	for name, dirs := range map[string]map[cid.Cid][]blocks.Entry{
		"dots":                     {top: file("..")},
		"dot":                      {top: file(".")},
		"up":                       {top: file("../outside/x")},
		"far up":                   {top: file("../../../../../../../../tmp/cairn-evil")},
		"absolute":                 {top: file(filepath.Join(outside, "x"))},
		"slash":                    {top: file("a/b")},
		"empty":                    {top: file("")},
		"zero":                     {top: file("a\x00b")},
		"escape":                   {top: file("a\x1b[2Jb")},
		"directory named up":       {top: {entry("..", blocks.KindDir, sub, "")}, sub: file("x")},
		"symlink named up":         {top: {entry("../l", blocks.KindSymlink, sub, outside)}},
		"through a symlink":        through(outside),
		"through a relative one":   through("../outside"),
		"file over symlink":        {top: {entry("a", blocks.KindSymlink, sub, filepath.Join(outside, "x")), entry("a", blocks.KindFile, leaf, "")}},
		"file twice":               {top: append(file("a"), file("a")...)},
		"symlink twice":            {top: {entry("a", blocks.KindSymlink, sub, outside), entry("a", blocks.KindSymlink, sub, outside)}},
		"in itself without an end": deep,
		"kind nobody knows":        {top: {entry("a", blocks.KindUnknown, sub, "")}},
	} {
		for _, force := range []bool{false, true} {
			t.Run(fmt.Sprint(name, force), func(t *testing.T) {
				work := t.TempDir()
				if err := os.RemoveAll(outside); err != nil {
					t.Fatal(err)
				}
				if err := os.Mkdir(outside, 0o777); err != nil {
					t.Fatal(err)
				}
				args := []string{"get", top.String(), "-o", filepath.Join(work, "tree")}
				if force {
					args = append(args, "--force")
				}
				exit, _, stderr := against(t, &stranger{dirs: dirs}, args...)
				if exit == 0 || strings.Contains(stderr, "\x1b") {
					t.Errorf("exit %d: %q", exit, stderr)
				}
				for _, dir := range []string{outside, work} {
					if left := below(t, dir); len(left) > 0 {
						t.Errorf("%s has %q", dir, left)
					}
				}
			})
		}
	}
}

// A directory that is there may hold symlinks that lead out: --force replaces them and
// does not follow them.
func TestForceFollowsNoSymlinkThatIsThere(t *testing.T) {
	work, outside := t.TempDir(), t.TempDir()
	victim := filepath.Join(outside, "victim")
	tree := filepath.Join(work, top.String())
	for _, err := range []error{
		os.Mkdir(tree, 0o777), os.WriteFile(victim, []byte("mine"), 0o666),
		os.Symlink(victim, filepath.Join(tree, "file")), os.Symlink(outside, filepath.Join(tree, "dir")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s := &stranger{dirs: map[cid.Cid][]blocks.Entry{top: {entry("file", blocks.KindFile, leaf, "")}}}
	if exit, _, stderr := against(t, s, "get", "--force", top.String(), "-o", work); exit != 0 {
		t.Fatalf("exit %d: %s", exit, stderr)
	}
	if got, err := os.ReadFile(filepath.Join(tree, "file")); err != nil || !bytes.Equal(got, evil) {
		t.Errorf("got %q, %v", got, err)
	}
	s.dirs = map[cid.Cid][]blocks.Entry{top: {entry("dir", blocks.KindDir, sub, "")}, sub: {entry("x", blocks.KindFile, leaf, "")}}
	if exit, _, stderr := against(t, s, "get", "--force", top.String(), "-o", work); exit != 1 || !strings.Contains(stderr, `"dir": `) {
		t.Errorf("exit %d: %s", exit, stderr)
	}
	if got, err := os.ReadFile(victim); err != nil || string(got) != "mine" {
		t.Errorf("the victim has %q, %v", got, err)
	}
	if left := below(t, outside); len(left) != 1 {
		t.Errorf("outside has %q", left)
	}
}

// The control: an honest tree is written, its symlinks with it.
func TestAnHonestTreeIsWritten(t *testing.T) {
	work := t.TempDir()
	s := &stranger{dirs: map[cid.Cid][]blocks.Entry{
		top: {entry("l", blocks.KindSymlink, sub, "d/ü"), entry("d", blocks.KindDir, sub, "")}, sub: {entry("ü", blocks.KindFile, leaf, "")},
	}}
	exit, stdout, stderr := against(t, s, "get", "--json", top.String(), "-o", filepath.Join(work, "tree"))
	if exit != 0 || !strings.Contains(stdout, `"size":10,"files":1`) {
		t.Fatalf("exit %d: %s%s", exit, stdout, stderr)
	}
	if got, err := os.ReadFile(filepath.Join(work, "tree", "l")); err != nil || !bytes.Equal(got, evil) {
		t.Errorf("through the symlink: %q, %v", got, err)
	}
	if left := below(t, work); len(left) != 4 {
		t.Errorf("got %q", left)
	}
}

// below gives everything below dir.
func below(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if p != dir {
			all = append(all, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// big is more than any buffer on the way holds, so that a file after it, and its own
// end, are not read before the node has seen its beginning.
const big = 96 << 20

func sparse(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err == nil {
		err = errors.Join(f.Truncate(size), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFileThatVanishesOrChangesIsNamedAndTheRestIsPut(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(dir string) error
		want string // of the message
		left string // what is put
		puts int
	}{
		"vanishes":     {func(dir string) error { return os.Remove(filepath.Join(dir, "b")) }, `b": no such file`, "a c", 1},
		"dir vanishes": {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "c")) }, `c": no such file`, "a b c", 1}, // it was there, and is put empty
		"shrinks":      {func(dir string) error { return os.Truncate(filepath.Join(dir, "a"), 5<<20) }, `a": changed while it was read`, "b c", 2},
		"grows":        {func(dir string) error { return os.Truncate(filepath.Join(dir, "a"), big+1) }, `a": changed while it was read`, "b c", 2},
		"becomes a dir": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "b")), os.Mkdir(filepath.Join(dir, "b"), 0o777))
		}, `b": `, "a c", 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "tree")
			if err := os.MkdirAll(filepath.Join(dir, "c"), 0o777); err != nil {
				t.Fatal(err)
			}
			sparse(t, filepath.Join(dir, "a"), big)
			sparse(t, filepath.Join(dir, "b"), 10)
			s := &stranger{}
			s.item = func(it blocks.Item) {
				if it.Path == "a" {
					if err := c.do(dir); err != nil {
						t.Error(err)
					}
				}
			}
			exit, stdout, stderr := against(t, s, "put", "-r", "--wait", "local", dir)
			if exit != exitPartial || !strings.Contains(stderr, c.want) || strings.TrimSpace(stdout) != top.String() {
				t.Errorf("exit %d: %q %q, want 3 and %q", exit, stdout, stderr, c.want)
			}
			if got := strings.Join(s.got, " "); got != c.left || s.puts != c.puts {
				t.Errorf("put %q in %d tries, want %q in %d", got, s.puts, c.left, c.puts)
			}
		})
	}
}

// The control: nothing changes, nothing is named.
func TestATreeThatStaysAsItIsIsPutWhole(t *testing.T) {
	dir := t.TempDir()
	sparse(t, filepath.Join(dir, "a"), big)
	sparse(t, filepath.Join(dir, "b"), 0)
	s := &stranger{}
	if exit, _, stderr := against(t, s, "put", "-rq", "--wait", "local", dir); exit != 0 || stderr != "" || len(s.got) != 2 {
		t.Errorf("exit %d: %q, put %q", exit, stderr, s.got)
	}
}

func TestStrangeNamesAreShownQuoted(t *testing.T) {
	for name, want := range map[string]string{
		"a b": "a b", "日本": "日本", "ü": "ü", "🗿": "🗿",
		"a\nb": `"a\nb"`, "\x1b[2J": `"\x1b[2J"`, "\u202egpj.exe": `"\u202egpj.exe"`, "\xff": `"\xff"`, " a": `" a"`, `"a"`: `"\"a\""`, "": `""`,
	} {
		if got := shown(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}
