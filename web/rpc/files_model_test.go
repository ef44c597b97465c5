package rpc_test

import (
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"pgregory.net/rapid"
)

// model is what the mutable files should have: files by their path, directories by theirs
// with a slash at the end.
type model map[string]string

func (m model) isDir(p string) bool { _, ok := m[p+"/"]; return ok || p == "" || p == "/" }
func (m model) isFile(p string) bool {
	_, ok := m[p]
	return ok && !strings.HasSuffix(p, "/") && p != "/"
}
func (m model) has(p string) bool { return m.isDir(p) || m.isFile(p) }

func up(p string) string { return p[:strings.LastIndexByte(p, '/')] }

// mkdirs makes p and what it lies in; false: a file is in the way.
func (m model) mkdirs(p string) bool {
	if p == "" || m.isDir(p) {
		return true
	}
	if m.isFile(p) || !m.mkdirs(up(p)) {
		return false
	}
	m[p+"/"] = ""
	return true
}

// through reports whether a path leads through a file.
func (m model) through(p string) bool {
	for p = up(p); p != ""; p = up(p) {
		if m.isFile(p) {
			return true
		}
	}
	return false
}

func (m model) remove(p string) {
	for k := range m {
		if k == p || strings.HasPrefix(k, p+"/") {
			delete(m, k)
		}
	}
}

// below gives what is at p, by paths that go on from it.
func (m model) below(p string) model {
	p = strings.TrimSuffix(p, "/")
	out := model{}
	for k, v := range m {
		if k == p || strings.HasPrefix(k, p+"/") {
			out[strings.TrimPrefix(k, p)] = v
		}
	}
	return out
}

func (m model) put(p string, what model) {
	for k, v := range what {
		m[p+k] = v
	}
}

func (m model) mkdir(p string, parents bool) bool {
	switch {
	case parents:
		return m.mkdirs(p)
	case !m.isDir(up(p)) || m.has(p):
		return false
	}
	m[p+"/"] = ""
	return true
}

func (m model) cp(from, to string, parents, force bool) bool {
	if !m.has(from) {
		return false
	}
	what := m.below(from)
	if from == "/" {
		what["/"] = ""
	}
	if parents && !m.mkdirs(up(to)) || !m.isDir(up(to)) || m.isDir(to) || m.isFile(to) && !force {
		return false
	}
	m.remove(to)
	m.put(to, what)
	return true
}

func (m model) write(p, text string, offset int, create, parents, truncate bool) bool {
	if m.isDir(p) || m.through(p) || !m.isFile(p) && !create || parents && !m.mkdirs(up(p)) || !m.isDir(up(p)) {
		return false
	}
	old := m[p]
	if truncate {
		old = ""
	}
	if text != "" {
		old += strings.Repeat("\x00", max(0, offset-len(old)))
		old = old[:offset] + text + old[min(len(old), offset+len(text)):]
	}
	m[p] = old
	return true
}

func (m model) rm(p string, recursive, force bool) bool {
	if m.through(p) || !m.has(p) && !force || m.isDir(p) && !recursive && !force {
		return false
	}
	m.remove(p)
	return true
}

func (m model) mv(from, to string) bool {
	if !m.has(from) || m.through(to) {
		return false
	}
	if m.isDir(to) {
		to = strings.TrimSuffix(to, "/") + from[strings.LastIndexByte(from, '/'):]
	}
	if to == from && m.isFile(from) {
		return true
	}
	if to == from || strings.HasPrefix(to, from+"/") || m.isDir(to) || !m.isDir(up(to)) {
		return false
	}
	what := m.below(from)
	m.remove(from)
	m.remove(to)
	m.put(to, what)
	return true
}

// Whatever is done to the files, and however often the peer starts anew or collects what
// nobody wants, they are what a map would be, and their root is the one of a put of the same.
func TestTheFilesAreWhatWasDoneToThem(t *testing.T) {
	n := 0
	ops, failed, lost, swept := 0, 0, 0, 0
	base := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		n++
		dir, k := filepath.Join(base, fmt.Sprint(n)), newKeeper()
		sh := shell{rt, rooted(k, dir)}
		is, durable := model{}, model{} // as it is, and as a crash would leave it
		path := rapid.Custom(func(rt *rapid.T) string {
			p := ""
			for range rapid.IntRange(1, 3).Draw(rt, "deep") {
				p += "/" + rapid.SampledFrom([]string{"a", "b", "ü "}).Draw(rt, "name")
			}
			return p
		})
		text := func() string {
			if rapid.IntRange(0, 20).Draw(rt, "large") == 0 {
				return pattern(1<<20 + rapid.IntRange(-1, 3).Draw(rt, "beyond"))
			}
			return pattern(rapid.IntRange(0, 12).Draw(rt, "size"))
		}
		yes := func(label string) bool { return rapid.IntRange(0, 4).Draw(rt, label) > 0 }
		outside := "some text from elsewhere"
		rc, err := k.Put(t.Context(), strings.NewReader(outside), blocks.PutOptions{}, nil)
		if err != nil {
			rt.Fatal(err)
		}
		compare := func() {
			rt.Helper()
			got := model(sh.tree("/"))
			if !maps.Equal(got, is) {
				rt.Fatalf("there is %.300q, want %.300q", got, is)
			}
			rc, err := k.PutTree(t.Context(), items(is), blocks.PutOptions{HashOnly: true}, nil)
			if err != nil {
				rt.Fatal(err)
			}
			if root := sh.stat("/").Hash; root != rc.Root.String() {
				rt.Fatalf("the root is %s, of a put of the same %s", root, rc.Root)
			}
		}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			next, flush := maps.Clone(is), rapid.IntRange(0, 3).Draw(rt, "flush") > 0
			options := []string{fmt.Sprintf("flush=%t", flush)}
			var cmd string
			var args []string
			var body io.Reader
			ok := true
			switch rapid.IntRange(0, 8).Draw(rt, "what") {
			case 0:
				p, parents := path.Draw(rt, "path"), yes("parents")
				cmd, args, options = "mkdir", []string{p}, append(options, fmt.Sprintf("parents=%t", parents))
				ok = next.mkdir(p, parents)
			case 1, 2:
				p, s, offset, create, parents, truncate := path.Draw(rt, "path"), text(), 0, yes("create"), yes("parents"), yes("truncate")
				if yes("into") {
					offset = rapid.IntRange(0, 20).Draw(rt, "offset")
				}
				cmd, args, body = "write", []string{p}, file(s)
				options = append(options, fmt.Sprintf("create=%t", create), fmt.Sprintf("parents=%t", parents), fmt.Sprintf("truncate=%t", truncate), fmt.Sprintf("offset=%d", offset))
				ok = next.write(p, s, offset, create, parents, truncate)
			case 3:
				from, to, parents, force := path.Draw(rt, "from"), path.Draw(rt, "to"), yes("parents"), yes("force")
				cmd, args = "cp", []string{from, to}
				options = append(options, fmt.Sprintf("parents=%t", parents), fmt.Sprintf("force=%t", force))
				ok = next.cp(from, to, parents, force)
			case 4:
				to := path.Draw(rt, "to")
				cmd, args = "cp", []string{"/ipfs/" + rc.Root.String(), to}
				if ok = next.isDir(up(to)) && !next.has(to); ok {
					next[to] = outside
				}
			case 5:
				p, recursive, force := path.Draw(rt, "path"), yes("recursive"), !yes("careful")
				cmd, args, flush = "rm", []string{p}, true
				options = []string{fmt.Sprintf("recursive=%t", recursive), fmt.Sprintf("force=%t", force)}
				ok = next.rm(p, recursive, force)
			case 6:
				from, to := path.Draw(rt, "from"), path.Draw(rt, "to")
				cmd, args = "mv", []string{from, to}
				ok = next.mv(from, to)
			case 7: // the peer is killed, and starts anew
				if !maps.Equal(is, durable) {
					lost++
				}
				sh.s, is = rooted(k, dir), maps.Clone(durable)
				continue
			case 8:
				gone, err := k.collect(t.Context())
				if err != nil {
					rt.Fatal(err)
				}
				swept += gone
				compare()
				continue
			}
			w := sh.ask(cmd, args, options, body)
			if ops++; (w.Code == 200) != ok {
				rt.Fatalf("%s %q %q of %.20q: %d %s, want it to succeed: %t", cmd, args, options, is, w.Code, w.Body, ok)
			}
			if !ok {
				failed++
				continue
			}
			if is = next; flush {
				durable = maps.Clone(is)
			}
		}
		compare()
	})
	t.Logf("FIGURE %d sequences: %d changes, %d of them refused as they should be, %d blocks collected meanwhile, %d crashes with changes that were not flushed", n, ops, failed, swept, lost)
}

// A collection between any two changes takes nothing that the files have; the control is
// a peer that protects nothing.
func TestNoCollectionTakesWhatTheFilesHave(t *testing.T) {
	for name, open := range map[string]bool{"protected": false, "control": true} {
		t.Run(name, func(t *testing.T) {
			k, dir := newKeeper(), t.TempDir()
			k.open = open
			sh := shell{t, rooted(k, dir)}
			swept := 0
			for i := range 10 {
				sh.write("/f", fmt.Sprint("text ", i), "truncate=true", fmt.Sprintf("flush=%t", i%2 == 0))
				if i == 5 {
					sh.must("flush", nil)
					sh.s = rooted(k, dir)
				}
				gone, err := k.collect(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if swept += gone; open {
					break
				}
			}
			if swept == 0 {
				t.Error("no collection took anything: the test proves nothing")
			}
			w := sh.ask("read", []string{"/f"}, nil, nil)
			if got := w.Body.String(); (w.Code == 200 && got == "text 9") == open {
				t.Errorf("%d %q", w.Code, got)
			}
			if !open { // what the file was before a change that is not flushed is held too
				root := sh.stat("/f").Hash
				sh.write("/f", "lost by a crash", "truncate=true", "flush=false")
				if _, err := k.collect(t.Context()); err != nil {
					t.Fatal(err)
				}
				if sh.s = rooted(k, dir); sh.stat("/f").Hash == root || sh.must("read", []string{"/f"}) != "text 8" {
					t.Errorf("after the crash: %q", sh.must("read", []string{"/f"}))
				}
			}
		})
	}
}

// A reader goes on reading what a file was, whatever is written and collected meanwhile; the
// control is a peer that protects nothing.
func TestAReaderKeepsWhatItReads(t *testing.T) {
	for name, open := range map[string]bool{"protected": false, "control": true} {
		t.Run(name, func(t *testing.T) {
			k := newKeeper()
			sh := shell{t, rooted(k, t.TempDir())}
			was := pattern(24 << 20) // more than is read ahead
			sh.write("/f", was)
			w := &meddler{ResponseRecorder: httptest.NewRecorder(), do: func() {
				sh.write("/f", "other", "truncate=true")
				k.open = open
				if gone, err := k.collect(t.Context()); err != nil || (gone > 20) != open {
					t.Errorf("%d blocks collected, %v", gone, err)
				}
			}}
			func() {
				defer func() { _ = recover() }() // an answer that breaks off
				sh.s.RPC().ServeHTTP(w, httptest.NewRequest("POST", "/api/v0/files/read?arg=/f", nil))
			}()
			if got := w.Body.String(); (got == was) == open {
				t.Errorf("%d bytes, want %d", len(got), len(was))
			}
			if open {
				return
			}
			if sh.must("read", []string{"/f"}) != "other" {
				t.Error("what was written is not there")
			}
			gone, err := k.collect(t.Context())
			if err != nil || gone <= 20 { // nobody reads it any more
				t.Errorf("%d blocks collected, %v", gone, err)
			}
		})
	}
}

// meddler does something when the first bytes come.
type meddler struct {
	*httptest.ResponseRecorder
	do func()
}

func (m *meddler) Write(p []byte) (int, error) {
	if do := m.do; do != nil {
		m.do = nil
		do()
	}
	return m.ResponseRecorder.Write(p)
}
