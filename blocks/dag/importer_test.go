package dag_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/dag"
)

// importerProfiles are the three ways in which testdata/importer.json was made, and as what they are put.
var importerProfiles = map[string]struct {
	links int
	chunk int
	put   blocks.PutOptions
}{
	"unixfs-v1-2025": {1024, 1 << 20, blocks.PutOptions{Profile: dag.ProfileV1}},
	"unixfs-v0-2015": {174, 256 << 10, blocks.PutOptions{Profile: dag.ProfileV0}},
	"legacy-cid-v1":  {174, 256 << 10, blocks.PutOptions{Profile: dag.ProfileV0, Layout: blocks.Layout{CIDs: blocks.CIDv1, Leaves: blocks.LeavesRaw}}},
}

// counting is the bytes 0, 1, 2, ... modulo 251.
func counting(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i % 251)
	}
	return data
}

// ours are the CIDs that we give to what testdata/importer/generate.mjs imports.
func ours(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, p := range importerProfiles {
		layout := func(chunk int64) dag.Layout {
			o := p.put
			o.Chunk = chunk
			l, err := dag.LayoutOf(o)
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		add := func(what string, n int, l dag.Layout) {
			out[name+"/"+what] = root(split(t, new(blockstest.Mem), counting(n), l)).String()
		}
		of := func(what string, paths ...string) {
			in := tree{}
			for _, path := range paths {
				in[path] = file(path)
			}
			out[name+"/"+what] = root(build(t, new(blockstest.Mem), in.items(paths), layout(0))).String()
		}
		for what, n := range map[string]int{"empty": 0, "1 byte": 1, "chunk-1": p.chunk - 1, "chunk": p.chunk, "chunk+1": p.chunk + 1} {
			add(what, n, layout(0))
		}
		for what, n := range map[string]int{"links-1 chunks of 1 KiB": p.links - 1, "links chunks of 1 KiB": p.links, "links+1 chunks of 1 KiB": p.links + 1} {
			add(what, n<<10, layout(1<<10))
		}
		add("one byte more than links chunks of 1 KiB", p.links<<10+1, layout(1<<10))
		var many []string
		for i := range 6000 {
			many = append(many, "file number "+strconv.Itoa(i)+" of a large directory")
		}
		of("6000 entries", many...)
		of("nested", "a/b/c/d/e", "a/b/x", "a/y", "z")
		of("unicode", "日本/語", "ñandú", "a b", "e\u0301", "🙂/🙃")
	}
	return out
}

// What we put has the CIDs that the importer of the JavaScript implementation gives it.
func TestCIDsAreThoseOfTheJavaScriptImporter(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "importer.json"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, data)
}

// same asks that data, what the generator printed, is what we make.
func same(t *testing.T, data []byte) {
	t.Helper()
	want := map[string]string{}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	got := ours(t)
	for what, c := range want {
		if got[what] != c {
			t.Errorf("%s: got %s, want %s", what, got[what], c)
		}
	}
	if len(want) != len(got) || len(want) != 36 {
		t.Errorf("%d CIDs of theirs, %d of ours, want 36", len(want), len(got))
	}
}

func TestCIDsOfTheImporterAreMadeAnew(t *testing.T) {
	if os.Getenv("CAIRN_NPM") == "" {
		t.Skip("SKIP: fetches npm packages: make importer runs it")
	}
	for _, tool := range []string{"npm", "node"} {
		if _, err := exec.LookPath(tool); errors.Is(err, exec.ErrNotFound) {
			t.Skipf("SKIP: no %s", tool)
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, onlyFiles{os.DirFS(filepath.Join("testdata", "importer"))}); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"npm", "ci", "--no-audit", "--no-fund"}, {"node", "generate.mjs"}} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		var said bytes.Buffer
		cmd.Dir, cmd.Stderr = dir, &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, said.String())
		}
		if args[0] == "node" {
			same(t, out)
		}
	}
}

// onlyFiles leaves out what npm has installed by hand.
type onlyFiles struct{ fs.FS }

func (f onlyFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(f.FS, name)
	var out []fs.DirEntry
	for _, e := range all {
		if !e.IsDir() {
			out = append(out, e)
		}
	}
	return out, err
}

func TestALayoutThatCannotBeIsRefused(t *testing.T) {
	for _, o := range []blocks.PutOptions{
		{Profile: "no such profile"},
		{Layout: blocks.Layout{Chunk: blocks.MaxSize + 1}},
		{Layout: blocks.Layout{Chunk: -1}},
		{Layout: blocks.Layout{Leaves: "wet"}},
		{Layout: blocks.Layout{CIDs: "2"}},
	} {
		if l, err := dag.LayoutOf(o); err == nil {
			t.Errorf("%+v makes %+v", o, l)
		}
	}
	l, err := dag.LayoutOf(blocks.PutOptions{Layout: blocks.Layout{CIDs: blocks.CIDv0, Leaves: blocks.LeavesRaw}})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(root(split(t, new(blockstest.Mem), counting(10), l)).Version()); got != "1" {
		t.Errorf("a raw leaf has a CID of version %s", got)
	}
}
