package rpc_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/web/rpc"
)

func pattern(n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i*7 + i/251)
	}
	return string(out)
}

// The CIDs are those that `ipfs add -Qn` of Kubo 0.40.1, profile unixfs-v1-2025,
// gives for the same bytes and options.
func TestOptionsThatChangeCIDsDoAsInKubo(t *testing.T) {
	p := newPeer()
	srv, _ := serve(t, p, false)
	for options, want := range map[string]string{
		"":                                     "bafkreibwens2lex4jetx7mnhmftvcbh7m4cr4gfzc5ujuwdeajj4d7x2wi",
		"cid-version=0":                        "QmY3PqADtoqRTvRP3fVco3TFMRWjc9g8kSNKpG8uqhBAaf",
		"chunker=size-1000&max-file-links=100": "bafybeiduptqgh7shzy4pr4k7ww6wwzt7za7e3it3iblccyhpwog3foey7y",
		"raw-leaves=false":                     "bafybeigdvc7isk43ued3xnvenqslqftlhk7t5myoffix3g7qeu3on5cdl4",
		"cid-version=0&raw-leaves=true":        "QmdhjPae8BTuBFshs1b6RXCWw2jKHyyMiwm7mS2uz4oqzN",
		"cid-version=1&chunker=size-262144&max-file-links=174&hash=sha2-256": "bafybeiheixfregxmltbpl4oy3x5uosumv3wsbel775njenjafu5ib5khh4",
	} {
		res, body := ask(t, srv, "add?only-hash=true&"+options, part{"f", "", pattern(700000)})
		got := lines[rpc.Added](t, body)
		if res.StatusCode != 200 || len(got) != 1 || got[0].Hash != want {
			t.Errorf("%s: %d %s, want %s", options, res.StatusCode, body, want)
		}
	}
	if len(p.pins) != 0 {
		t.Errorf("%d pins of what was only hashed", len(p.pins))
	}
}

func TestAddTellsOfEveryFileAndDirectory(t *testing.T) {
	p := newPeer()
	srv, _ := serve(t, p, false)
	_, body := ask(t, srv, "add?cid-version=1", part{"t", "application/x-directory", ""}, part{"t/b c", "", "hello\n"},
		part{"t/sub/ü", "", "x"}, part{"t/l", "application/symlink", "b c"}, part{"alone", "", "y"})
	var names []string
	for _, a := range lines[rpc.Added](t, body) {
		if a.Hash == "" || a.Size == "" || a.Size == "0" {
			t.Errorf("%+v", a)
		}
		names = append(names, a.Name)
	}
	if got := strings.Join(names, "|"); got != "t/b c|t/l|t/sub/ü|t/sub|t|alone" {
		t.Errorf("got %s", got)
	}
	if len(p.pins) != 2 {
		t.Errorf("%d pins, want one of each root", len(p.pins))
	}

	_, body = ask(t, srv, "add?wrap-with-directory=true&pin=false", part{"one", "", "1"}, part{"two", "", "2"})
	if got := lines[rpc.Added](t, body); len(got) != 3 || got[2].Name != "" || len(p.pins) != 2 {
		t.Errorf("wrapped: %s, %d pins", body, len(p.pins))
	}
	_, body = ask(t, srv, "add", part{"", "", "nameless"})
	if got := lines[rpc.Added](t, body); len(got) != 1 || got[0].Name != got[0].Hash {
		t.Errorf("without a name: %s", body)
	}
	_, body = ask(t, srv, "add?progress=true", part{"f", "", pattern(300000)})
	got := lines[rpc.Added](t, body)
	if len(got) < 2 || got[len(got)-2].Bytes != 300000 || got[len(got)-1].Hash == "" {
		t.Errorf("progress: %s", body)
	}
}

func TestWhatAddCannotDoIsRefusedWithASentence(t *testing.T) {
	p := newPeer()
	srv, _ := serve(t, p, false)
	for _, options := range []string{
		"trickle=maybe", "nocopy=true", "fscache=true", "inline=true", "hash=blake3", "chunker=fixed", "chunker=size-0",
		"chunker=size-4194304", "cid-version=2", "to-files=/x", "preserve-mode=true", "mode=0644", "raw-leaves=maybe", "max-directory-links=5",
	} {
		res, body := ask(t, srv, "add?"+options, part{"f", "", "x"})
		e := lines[rpc.Error](t, body)
		if res.StatusCode != 400 || len(e) != 1 || e[0].Type != "error" || len(e[0].Message) < 10 || e[0].Code != 1 {
			t.Errorf("%s: %d %s", options, res.StatusCode, body)
		}
	}
	if len(p.pins) != 0 {
		t.Errorf("%d pins", len(p.pins))
	}
	res, body := ask(t, srv, "add?trickle=false", part{"f", "", "x"}) // the control
	if res.StatusCode != 200 || len(p.pins) != 1 {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

func TestNothingIsKeptOfAFormThatIsCut(t *testing.T) {
	whole, kind := form(t, part{"d", "application/x-directory", ""}, part{"d/a", "", "aaaa"}, part{"d/b", "", "bbbb"})
	for n := range whole.Len() - 3 { // the last bytes are the end of a line
		p := newPeer()
		srv, _ := serve(t, p, false)
		res, body := send(t, srv, "POST", "/api/v0/add", kind, bytes.NewReader(whole.Bytes()[:n]))
		if res.StatusCode == http.StatusOK || len(p.pins) != 0 {
			t.Fatalf("cut after %d of %d bytes: %d %s, %d pins", n, whole.Len(), res.StatusCode, body, len(p.pins))
		}
		srv.Close()
	}
	p := newPeer() // the control
	srv, _ := serve(t, p, false)
	if res, body := send(t, srv, "POST", "/api/v0/add", kind, whole); res.StatusCode != http.StatusOK || len(p.pins) != 1 {
		t.Errorf("whole: %d %s", res.StatusCode, body)
	}
}
