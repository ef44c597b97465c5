package deny_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks/deny"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// What the specification's own example is made of.
const (
	plain = "bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq"
	paths = "Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2"
	some  = "QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK"
	name  = "k51qzi5uqu5dhmzyv3zac033i7rl9hkgczxyl81lwoukda2htteop7d3x0y1mf"
	twice = "QmVTF1yEejXd9iMgoRTFDxBv7HAz9kuZcQNBzHrceuK9HR"
	blake = "bafyb4ieqht3b2rssdmc7sjv2cy2gfdilxkfh7623nvndziyqnawkmo266a"
	older = "bafybeiefwqslmf6zyyrxodaxx4vwqircuxpza5ri45ws3y5a62ypxti42e"

	example = `version: 1
name: Example
hints:
  hint: value
---
# a comment

/ipfs/` + plain + `
/ipfs/` + paths + `/test*
/ipfs/` + some + `/blocked*
!/ipfs/` + some + `/blockednot
+/ipfs/` + some + `/blocked/not
!/ipfs/` + some + `/blocked/exceptions*
/ipns/domain.example a=b
/ipns/domain2.example/path
/ipns/` + name + `
//QmX9dhRcQcKUw3Ws8485T5a9dtjrSCQaUAHnG4iK9i4ceM
//gW813G35CnLsy7gRYYHuf63hrz71U1xoLFDVeV7actx6oX
//d9d295bde21f422d471a90f2a37ec53049fdf3e5fa3ee2e8f20e10003da429e7
//c555c4de78827ba42527dd3dc5398db38d6c0a8c345a88e0158b2d100f317e50
//3f8b9febd851873b3774b937cce126910699ceac56e72e64b866f8e258d09572
`
)

func list(t *testing.T, text string) (*deny.List, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "list.deny")
	write(t, file, text)
	l, err := deny.Open([]string{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l, file
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func id(t *testing.T, s string) cid.Cid {
	t.Helper()
	c, err := cid.Decode(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// as is c with another codec and version.
func as(c cid.Cid, codec uint64) cid.Cid { return cid.NewCidV1(codec, c.Hash()) }

func TestTheExampleOfTheSpecificationIsUnderstood(t *testing.T) {
	l, _ := list(t, example)
	for _, s := range []string{plain, twice, older} {
		c := id(t, s)
		for _, c := range []cid.Cid{c, as(c, cid.Raw), as(c, cid.DagProtobuf), as(c, cid.DagCBOR), as(c, 0x300539)} {
			if !l.Block(c) {
				t.Errorf("%s is not denied", c)
			}
		}
	}
	for _, s := range []string{paths, some, blake, name, "bafkqaaa"} {
		if l.Block(id(t, s)) {
			t.Errorf("the block %s is denied", s)
		}
	}
	for p, want := range map[string]bool{
		"/ipfs/" + plain: true, "/ipfs/" + plain + "/a": true,
		"/ipfs/" + paths: false, "/ipfs/" + paths + "/test": true, "/ipfs/" + paths + "/tests/a": true, "/ipfs/" + paths + "/te": false,
		"/ipfs/" + as(id(t, paths), cid.Raw).String() + "/test1": true,
		"/ipfs/" + some + "/blocked":                             true, "/ipfs/" + some + "/blockednot": false, "/ipfs/" + some + "/blockednot/": false,
		"/ipfs/" + some + "/blockednot2": true, "/ipfs/" + some + "/blocked/not": false, "/ipfs/" + some + "/blocked/exceptions/a": false,
		"/ipns/domain.example": true, "/ipns/Domain.Example/a": true, "/ipns/domain2.example": false, "/ipns/domain2.example/path/": true,
		"/ipns/domain2.example/paths": false, "/ipns/" + name: true, "/ipns/" + name + "/a": true,
		"/ipns/" + id(t, name).Hash().B58String(): true,
		"/ipfs/" + blake + "/path":                true, "/ipfs/" + blake + "/path2": false, "/ipfs/" + blake: false,
		"/ipfs/" + as(id(t, blake), cid.Raw).String() + "/path": true,
		"/ipfs/" + older + "/path":                              true, "/ipns/bad-domain-name.tld": true, "/ipns/good-domain-name.tld": false,
		"/other/x": false, "": false, "/": false,
	} {
		if got := l.Path(p); got != want {
			t.Errorf("%s: denied %v, want %v", p, got, want)
		}
	}
}

// All below a root, and the root.
func TestAStarAloneDeniesTheBlockToo(t *testing.T) {
	l, _ := list(t, "/ipfs/"+paths+"/*\n")
	if !l.Block(id(t, paths)) || !l.Path("/ipfs/"+paths+"/any/thing") {
		t.Error("it is given out")
	}
}

// Of two lists the later one has the last word, by whatever kind of rule.
func TestTheLastRuleHolds(t *testing.T) {
	c := id(t, plain)
	hash := sha256.Sum256([]byte(plain + "/"))
	for text, want := range map[string]bool{
		"/ipfs/" + plain: true, "/ipfs/" + plain + "\n!/ipfs/" + plain: false,
		"!/ipfs/" + plain + "\n/ipfs/" + plain:                              true,
		"//" + hex.EncodeToString(hash[:]) + "\n!/ipfs/" + plain:            false,
		"!/ipfs/" + plain + "\n//" + hex.EncodeToString(hash[:]) + " why=x": true,
	} {
		if l, _ := list(t, text); l.Block(c) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}

func TestAWrongLineIsNamedWithItsFile(t *testing.T) {
	for text, want := range map[string]string{
		"# x\n\n/ipfs/nonsense":   ":3: \"/ipfs/nonsense\": no CID",
		"/ipns/nodomain":          ":1: \"/ipns/nodomain\": neither a key nor a domain",
		"version: 1\n---\n//zzz0": ":3: \"//zzz0\": neither a multihash",
		"version: 2\n---\n":       ":1: version \"2\": want 1",
		"ipfs://" + plain:         ":1: ",
		"/path/only":              ":1: \"/path/only\": want /ipfs/CID",
		"/ipfs/" + plain + "/%zz": ":1: ",
		"!!/ipfs/" + plain:        ":1: ",
		"/ipfs/" + plain + "\n" + strings.Repeat("x", 3<<20): ":2: ",
	} {
		file := filepath.Join(t.TempDir(), "list.deny")
		write(t, file, text)
		_, err := deny.Open([]string{file}, nil)
		if line, ok := errors.AsType[*deny.LineError](err); !ok || line.File != file || !strings.HasPrefix(err.Error(), "deny: "+file+want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	if _, err := deny.Open([]string{filepath.Join(t.TempDir(), "none")}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// A list is read anew when it changes; one that has become wrong changes nothing.
func TestAListIsReadAnewWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, file := list(t, "")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.Run(ctx) }()
		c := id(t, plain)
		for i, step := range []struct {
			text string
			want bool
		}{{"/ipfs/" + plain + "\n", true}, {"/ipfs/" + plain + "\nnonsense\n", true}, {"# none\n", false}} {
			write(t, file, step.text)
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if got := l.Block(c); got != step.want {
				t.Errorf("step %d: denied %v, want %v", i, got, step.want)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A nil list denies nothing.
func TestNoFilesDenyNothing(t *testing.T) {
	l, err := deny.Open(nil, nil)
	if err != nil || l != nil || l.Block(id(t, plain)) || l.Path("/ipfs/"+plain) || l.Len() != 0 {
		t.Errorf("%v %v", l, err)
	}
}

// A rule of a long list is found as soon as one of a short one.
func BenchmarkBlockOfAMillionRules(b *testing.B) {
	var text strings.Builder
	for i := range 1_000_000 {
		sum := sha256.Sum256(fmt.Appendf(nil, "%d", i))
		fmt.Fprintf(&text, "//%x\n", sum)
	}
	file := filepath.Join(b.TempDir(), "list.deny")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	l, err := deny.Open([]string{file}, nil)
	if err != nil {
		b.Fatal(err)
	}
	h, err := mh.Sum([]byte("x"), mh.SHA2_256, -1)
	if err != nil {
		b.Fatal(err)
	}
	c := cid.NewCidV1(cid.Raw, h)
	for b.Loop() {
		if l.Block(c) {
			b.Fatal("denied")
		}
	}
}

// No text is a panic, and what is refused is refused with a line.
func FuzzOpen(f *testing.F) {
	f.Add(example)
	f.Add("!/ipns/a.b/*\n//\n/ipfs//\n+")
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "list.deny")
		write(t, file, text)
		l, err := deny.Open([]string{file}, nil)
		if _, ok := errors.AsType[*deny.LineError](err); err != nil && !ok {
			t.Errorf("%v", err)
		}
		l.Path("/ipfs/" + text)
		l.Path("/ipns/" + text)
	})
}
