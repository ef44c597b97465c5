package rpc_test

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/rpc"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
)

func TestWhatIsWrittenIsReadListedAndToldOfAsInKubo(t *testing.T) {
	k := newKeeper()
	sh := shell{t, rooted(k, t.TempDir())}
	if got := sh.must("ls", nil); got != `{"Entries":[]}`+"\n" {
		t.Errorf("nothing: %s", got)
	}
	if st := sh.stat("/"); st.Hash != "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354" || st.Type != "directory" || st.Blocks != 0 {
		t.Errorf("nothing: %+v", st)
	}
	sh.must("mkdir", []string{"/a/b"}, "parents=true")
	sh.write("/a/b/f", "hello world")
	if got := sh.must("read", []string{"/a/b/f"}, "offset=6", "count=3"); got != "wor" {
		t.Errorf("a part: %q", got)
	}
	sh.write("/a/b/f", "WORLD", "offset=6")
	sh.write("/a/b/f", "!", "offset=13")
	if got := sh.must("read", []string{"/a/b/f"}); got != "hello WORLD\x00\x00!" {
		t.Errorf("written into: %q", got)
	}
	sh.write("/a/b/f", "123456", "offset=0", "count=3", "truncate=true")
	if got := sh.must("read", []string{"/a/b/f"}); got != "123" {
		t.Errorf("truncated: %q", got)
	}
	st := sh.stat("/a/b/f", "with-local=true")
	if st.Type != "file" || st.Size != 3 || st.CumulativeSize != 3 || !st.WithLocality || !st.Local || st.SizeLocal != 3 {
		t.Errorf("stat: %+v", st)
	}
	big := pattern(3<<20 + 5)
	sh.write("/big", big)
	rc, err := k.Put(t.Context(), strings.NewReader(big), blocks.PutOptions{Unpinned: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if st := sh.stat("/big", "with-local=true"); st.Hash != rc.Root.String() || st.Size != uint64(len(big)) || st.Blocks != 4 || st.SizeLocal <= st.Size {
		t.Errorf("stat: %+v, want the root that add gives, %s", st, rc.Root)
	}
	sh.write("/big", "x", "offset=2000000") // as add would make it, too
	big = big[:2000000] + "x" + big[2000001:]
	if rc, err = k.Put(t.Context(), strings.NewReader(big), blocks.PutOptions{HashOnly: true}, nil); err != nil {
		t.Fatal(err)
	}
	if st := sh.stat("/big"); st.Hash != rc.Root.String() {
		t.Errorf("written into: %+v, want %s", st, rc.Root)
	}
	sh.write("/empty", "")
	sh.must("cp", []string{"/a", "/copy"})
	sh.must("cp", []string{"/big", "/copy/"})
	sh.must("mv", []string{"/copy/b/f", "/a/b/g"})
	sh.must("rm", []string{"/a/b/f"})
	sh.must("mv", []string{"/a/b/g", "/copy/b/g"}) // between directories of one name
	want := map[string]string{"/a/": "", "/a/b/": "", "/copy/": "", "/copy/b/": "", "/copy/b/g": "123", "/copy/big": big, "/big": big, "/empty": ""}
	if got := sh.tree("/"); fmt.Sprint(keys(got)) != fmt.Sprint(keys(want)) || got["/copy/b/g"] != "123" || got["/copy/big"] != big {
		t.Errorf("%q, want %q", keys(got), keys(want))
	}
	var flushed struct{ Cid string }
	if err := json.Unmarshal([]byte(sh.must("flush", nil)), &flushed); err != nil || flushed.Cid != sh.stat("/").Hash {
		t.Errorf("flush: %+v, %v", flushed, err)
	}
	if got := sh.must("ls", []string{"/copy/b/g"}, "long=true"); !strings.HasPrefix(got, `{"Entries":[{"Name":"g","Type":0,"Size":3,"Hash":"bafkrei`) {
		t.Errorf("ls of a file: %s", got)
	}
}

func keys(m map[string]string) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// Each is answered with one error in the words of Kubo, or says what is not done here, and
// changes nothing.
func TestWhatCannotBeDoneToTheFilesChangesNothing(t *testing.T) {
	k := newKeeper()
	sh := shell{t, rooted(k, t.TempDir())}
	sh.must("mkdir", []string{"/d/e"}, "parents=true")
	sh.write("/f", "text")
	lost := blocks.New(cid.Raw, []byte("nowhere")).Cid().String()
	cbor := blocks.New(cid.DagCBOR, []byte{0xa0})
	odd := blocks.New(cid.DagProtobuf, []byte{0x0a, 0x01, 0xff}) // no UnixFS
	if err := k.bs.AddBlocks(t.Context(), []block.Block{cbor, odd}); err != nil {
		t.Fatal(err)
	}
	root, count := sh.stat("/").Hash, len(k.stored(t))
	long := "/" + strings.Repeat("x/", 200)
	for _, tt := range []struct {
		cmd     string
		args    []string
		options string
		text    string // "": no form
		status  int
		want    string
	}{
		{"mkdir", nil, "", "", 400, "want one"},
		{"mkdir", []string{""}, "", "", 400, "want one"},
		{"mkdir", []string{"d"}, "", "", 400, "paths must start with a leading slash"},
		{"mkdir", []string{"/"}, "", "", 500, "Already exists"},
		{"mkdir", []string{"/d"}, "", "", 500, "file already exists"},
		{"mkdir", []string{"/f"}, "parents=true", "", 500, "file already exists"},
		{"mkdir", []string{"/no/x"}, "", "", 500, "file does not exist"},
		{"mkdir", []string{"/f/x"}, "parents=true", "", 500, "not a directory"},
		{"mkdir", []string{"/d/../x"}, "", "", 400, `the name ".."`},
		{"mkdir", []string{"/d/./x"}, "", "", 400, `the name "."`},
		{"mkdir", []string{"/a\x00b"}, "", "", 400, "character"},
		{"mkdir", []string{"/a\nb"}, "", "", 400, "character"},
		{"mkdir", []string{"/a\xff"}, "", "", 400, "UTF-8"},
		{"mkdir", []string{"/" + strings.Repeat("n", 300)}, "", "", 400, "300 bytes"},
		{"mkdir", []string{long}, "parents=true", "", 400, "200 names"},
		{"mkdir", []string{"/" + strings.Repeat("y", 5000)}, "", "", 400, "limit 4096"},
		{"mkdir", []string{"/ipfs"}, "", "", 400, "immutable"},
		{"mkdir", []string{"/ipns/x"}, "parents=true", "", 400, "immutable"},
		{"mkdir", []string{"/x"}, "parents=maybe", "", 400, "true or false"},
		{"mkdir", []string{"/x"}, "cid-version=0", "", 400, "cid-version"},
		{"mkdir", []string{"/x"}, "hash=blake3", "", 400, "hash"},
		{"mkdir", []string{"/x"}, "mode=0755", "", 400, "modes"},
		{"mkdir", []string{"/x"}, "flush=maybe", "", 400, "true or false"},
		{"cp", []string{"/f"}, "", "", 400, "want two"},
		{"cp", []string{"/no", "/x"}, "", "", 500, "file does not exist"},
		{"cp", []string{"/f", "/d"}, "", "", 500, "directory already has entry by that name"},
		{"cp", []string{"/f", "/no/x"}, "", "", 500, "file does not exist"},
		{"cp", []string{"/f", "/d"}, "force=true", "", 500, "not a file"},
		{"cp", []string{"/f", "/f/x"}, "parents=true", "", 500, ""},
		{"cp", []string{"/f", "/"}, "", "", 500, "directory already has entry by that name"},
		{"cp", []string{"/f", "/d/.."}, "", "", 400, `the name ".."`},
		{"cp", []string{"/ipfs/" + lost, "/x"}, "", "", 500, "not find"},
		{"cp", []string{"/ipfs/nonsense", "/x"}, "", "", 400, "nonsense"},
		{"cp", []string{"/ipfs/" + cbor.Cid().String(), "/x"}, "", "", 500, "source must be a valid UnixFS"},
		{"cp", []string{"/ipfs/" + odd.Cid().String(), "/x"}, "", "", 500, "UnixFS"},
		{"cp", []string{"/f", "/ipfs/x"}, "", "", 400, "immutable"},
		{"mv", []string{"/no", "/x"}, "", "", 500, "file does not exist"},
		{"mv", []string{"/", "/x"}, "", "", 400, "root"},
		{"mv", []string{"/d", "/d/e"}, "", "", 400, "into itself"},
		{"mv", []string{"/d", "/d"}, "", "", 400, "into itself"},
		{"mv", []string{"/f", "/no/x"}, "", "", 500, "file does not exist"},
		{"mv", []string{"/f", "/no/"}, "", "", 500, "file does not exist"},
		{"mv", []string{"/d", "/f/"}, "", "", 500, "Not a directory"},
		{"mv", []string{"/f", "/ipfs"}, "", "", 400, "immutable"},
		{"rm", nil, "", "", 400, "missing"},
		{"rm", []string{"/"}, "recursive=true", "", 400, "cannot delete root"},
		{"rm", []string{"/no"}, "", "", 500, "file does not exist"},
		{"rm", []string{"/d"}, "", "", 500, "is a directory, use -r to remove directories"},
		{"rm", []string{"/f", "/d"}, "", "", 500, "is a directory"},
		{"rm", []string{"/f"}, "flush=false", "", 400, "always flushes"},
		{"write", []string{"/f"}, "", "", 400, "form"},
		{"write", []string{"/no"}, "", "x", 500, "file does not exist"},
		{"write", []string{"/no/x"}, "create=true", "x", 500, "file does not exist"},
		{"write", []string{"/d"}, "create=true", "x", 500, "/d was not a file"},
		{"write", []string{"/f/x"}, "create=true&parents=true", "x", 500, "Not a directory"},
		{"write", []string{"/f"}, "offset=-1", "x", 400, "offset"},
		{"write", []string{"/f"}, "count=-1", "x", 400, "count"},
		{"write", []string{"/f"}, "offset=9223372036854775000", "x", 400, "limit"},
		{"write", []string{"/f"}, "raw-leaves=false", "x", 400, "raw-leaves"},
		{"write", []string{"/f"}, "cid-version=0", "x", 400, "cid-version"},
		{"write", []string{"/x\x01"}, "create=true", "x", 400, "character"},
		{"read", []string{"/d"}, "", "", 500, "/d was not a file"},
		{"read", []string{"/no"}, "", "", 500, "/no: file does not exist"},
		{"read", []string{"/f"}, "offset=5", "", 500, "offset was past end of file (5 > 4)"},
		{"read", []string{"/f"}, "offset=-1", "", 400, "offset"},
		{"read", []string{"/f"}, "count=-1", "", 400, "count"},
		{"ls", []string{"/no"}, "", "", 500, "file does not exist"},
		{"stat", []string{"/no"}, "", "", 500, "file does not exist"},
		{"stat", []string{"/f/x"}, "", "", 500, "Not a directory"},
		{"stat", []string{"/f"}, "hash=true&size=true", "", 400, "Only one format option is allowed"},
		{"flush", []string{"/no"}, "", "", 500, "file does not exist"},
		{"chcid", []string{"/d"}, "cid-version=0", "", 501, "not done here"},
		{"chmod", []string{"0644", "/f"}, "", "", 501, "not done here"},
	} {
		var body io.Reader
		if tt.text != "" {
			body = file(tt.text)
		}
		w := sh.ask(tt.cmd, tt.args, strings.Split(tt.options, "&"), body)
		var e rpc.Error
		err := json.Unmarshal(w.Body.Bytes(), &e)
		if w.Code != tt.status || err != nil || e.Type != "error" || !strings.Contains(e.Message, tt.want) || len(e.Message) < 10 {
			t.Errorf("%s %.40q %s: %d %s; want %d, %q", tt.cmd, tt.args, tt.options, w.Code, w.Body, tt.status, tt.want)
		}
		if got := sh.stat("/").Hash; got != root {
			t.Fatalf("%s %.40q %s: the root is %s, was %s", tt.cmd, tt.args, tt.options, got, root)
		}
	}
	if got := len(k.stored(t)); got != count {
		t.Errorf("%d blocks, were %d: something was left behind", got, count)
	}
	k.full = blocks.ErrFull
	if w := sh.ask("write", []string{"/f"}, nil, file("more text")); w.Code != 500 || !strings.Contains(w.Body.String(), "no space") {
		t.Errorf("full: %d %s", w.Code, w.Body)
	}
	k.full = nil
	if got := sh.stat("/").Hash; got != root {
		t.Errorf("the root is %s, was %s", got, root)
	}
	sh.write("/f", "more text") // the control
	if got := sh.stat("/").Hash; got == root {
		t.Error("nothing changes anything")
	}
}

func (k *keeper) stored(t *testing.T) (all []cid.Cid) {
	t.Helper()
	keys, err := k.bs.Blockstore().AllKeysChan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for c := range keys {
		all = append(all, c)
	}
	return all
}

// bare is a peer without anything to stand on.
func TestAPeerThatKeepsNoFilesSaysSo(t *testing.T) {
	sh := shell{t, rpc.New(newPeer(), rpc.Config{})}
	for cmd, args := range map[string][]string{"ls": nil, "stat": {"/"}, "read": {"/x"}, "mkdir": {"/x"}, "rm": {"/x"}, "cp": {"/a", "/b"}, "mv": {"/a", "/b"}, "flush": nil} {
		if w := sh.ask(cmd, args, nil, nil); w.Code != 501 || !strings.Contains(w.Body.String(), "/ipfs/") {
			t.Errorf("%s: %d %s", cmd, w.Code, w.Body)
		}
	}
}

// Each writer has a file of its own; one whose body does not come keeps nobody waiting.
func TestWritersDoNotDisturbEachOther(t *testing.T) {
	k := newKeeper()
	sh := shell{t, rooted(k, t.TempDir())}
	in, out := io.Pipe()
	slow := make(chan int)
	go func() { slow <- sh.ask("write", []string{"/slow"}, []string{"create=true"}, in).Code }()
	whole, err := io.ReadAll(file("slowly"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write(whole[:len(whole)-12]); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	want := map[string]string{"/slow": "slowly"}
	for i := range 20 {
		p, text := fmt.Sprintf("/d%d/f", i%3), fmt.Sprint("text", i)
		if i >= 3 {
			p += fmt.Sprint(i)
		}
		want[p], want[fmt.Sprintf("/d%d/", i%3)] = text, ""
		all.Go(func() { sh.write(p, text, "parents=true") })
	}
	all.Wait()
	if _, err := out.Write(whole[len(whole)-12:]); err != nil {
		t.Fatal(err)
	}
	out.Close()
	if code := <-slow; code != 200 {
		t.Errorf("the slow one: %d", code)
	}
	if got := sh.tree("/"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

// A client that goes in the middle of a write leaves what was there, and no block behind.
func TestAWriteThatIsCutChangesNothing(t *testing.T) {
	k := newKeeper()
	sh := shell{t, rooted(k, t.TempDir())}
	sh.write("/f", "before")
	root, count := sh.stat("/").Hash, len(k.stored(t))
	whole, err := io.ReadAll(file("after, and longer"))
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) - 3 { // the last bytes are the end of a line
		w := sh.ask("write", []string{"/f"}, []string{"truncate=true"}, strings.NewReader(string(whole[:n])))
		if got := sh.stat("/").Hash; w.Code == 200 || got != root || len(k.stored(t)) != count {
			t.Fatalf("cut after %d of %d bytes: %d %s, root %s, %d blocks", n, len(whole), w.Code, w.Body, got, len(k.stored(t)))
		}
	}
	if w := sh.ask("write", []string{"/f"}, []string{"truncate=true"}, strings.NewReader(string(whole))); w.Code != 200 || sh.must("read", []string{"/f"}) != "after, and longer" {
		t.Errorf("whole: %d %s", w.Code, w.Body) // the control
	}
}

// items yields what a model has, as add takes it.
func items(model map[string]string) iter.Seq2[blocks.Item, error] {
	return func(yield func(blocks.Item, error) bool) {
		for _, p := range keys(model) {
			it := blocks.Item{Path: strings.Trim(p, "/"), Kind: blocks.KindFile, Body: strings.NewReader(model[p])}
			if strings.HasSuffix(p, "/") {
				it.Kind, it.Body = blocks.KindDir, nil
			}
			if !yield(it, nil) {
				return
			}
		}
	}
}

// A directory that grows too large for a block, and becomes small again, is at any time the
// one that add makes.
func TestALargeDirectoryIsShardedAsByAdd(t *testing.T) {
	k := newKeeper()
	sh := shell{t, rooted(k, t.TempDir())}
	name := func(i int) string { return fmt.Sprintf("/d/%s%04d", strings.Repeat("n", 230), i) }
	is := map[string]string{"/d/": ""}
	const before, after = 931, 941
	for i := range before {
		is[name(i)] = fmt.Sprint(i)
	}
	add := func() string {
		t.Helper()
		rc, err := k.PutTree(t.Context(), items(is), blocks.PutOptions{Unpinned: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return rc.Root.String()
	}
	sh.must("cp", []string{"/ipfs/" + add() + "/d", "/d"})
	sharded := map[bool]int{}
	look := func() {
		t.Helper()
		if got, want := sh.stat("/").Hash, add(); got != want {
			t.Fatalf("%d entries: the root is %s, of a put of the same %s", len(is), got, want)
		}
		sharded[sh.stat("/d").Blocks <= 256]++
	}
	look()
	for i := before; i < after; i++ {
		is[name(i)] = fmt.Sprint(i)
		sh.write(name(i), fmt.Sprint(i))
		look()
	}
	for i := after - 1; i >= before; i-- {
		delete(is, name(i))
		sh.must("rm", []string{name(i)})
		look()
	}
	if sharded[true] == 0 || sharded[false] < 2 {
		t.Errorf("sharded %d times, and %d times not: the test proves nothing", sharded[true], sharded[false])
	}
	if got := strings.Count(sh.must("ls", []string{"/d"}), `"Name"`); got != before || sh.must("read", []string{name(7)}) != "7" {
		t.Errorf("%d entries, want %d", got, before)
	}
}

// Copies of copies, and moves, grow no tree that nobody can walk any more.
func TestNoTreeGrowsTooDeepToBeWalked(t *testing.T) {
	for _, cmd := range []string{"cp", "mv"} {
		k := newKeeper()
		sh := shell{t, rooted(k, t.TempDir())}
		down, from := strings.Repeat("/d", 60), "/0"
		sh.must("mkdir", []string{from + down}, "parents=true")
		refused := 0
		for i := 1; i < 40 && refused == 0; i++ {
			to := fmt.Sprintf("/%d", i)
			sh.must("mkdir", []string{to + down}, "parents=true")
			w := sh.ask(cmd, []string{from, to + down + "/d"}, nil, nil)
			if w.Code != 200 {
				if refused = i; w.Code != 400 || !strings.Contains(w.Body.String(), "too deep") {
					t.Errorf("%s: %d %s", cmd, w.Code, w.Body)
				}
			}
			from = to
		}
		if refused < 3 {
			t.Errorf("%s: refused at step %d", cmd, refused)
		}
		if _, err := k.collect(t.Context()); err != nil {
			t.Errorf("%s: no collection walks it: %v", cmd, err)
		}
		sh.must("rm", []string{from}, "recursive=true")
	}
}
