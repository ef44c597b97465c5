package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/cairn-network/cairn/blocks"
)

func TestNothingIsCalledKeptElsewhereThatIsNot(t *testing.T) {
	for _, c := range []struct {
		o    putFlags
		r    blocks.Receipt
		want string
	}{
		{putFlags{}, blocks.Receipt{}, "kept here only: no other peer is known"},
		{putFlags{PutOptions: blocks.PutOptions{NoPlace: true}}, blocks.Receipt{Progress: blocks.Progress{Members: 7}}, "kept here only, as asked"},
		{putFlags{PutOptions: blocks.PutOptions{Wait: blocks.WaitLocal}}, blocks.Receipt{Progress: blocks.Progress{Members: 7}}, "kept here; copies on other peers follow"},
		{putFlags{}, blocks.Receipt{Progress: blocks.Progress{Members: 7}}, "kept here; not every block has a copy elsewhere yet"},
		{putFlags{}, blocks.Receipt{Progress: blocks.Progress{Members: 7}, Least: 1}, "1 copy elsewhere: would survive this peer leaving"},
		{putFlags{}, blocks.Receipt{Progress: blocks.Progress{Members: 7}, Least: 3}, "3 copies elsewhere: would survive this peer and any 2 of the others leaving"},
	} {
		if got := kept(c.o, c.r); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestSpreadingCountsTheWorstBlock(t *testing.T) {
	for _, c := range []struct {
		p    blocks.Progress
		want string
	}{
		{blocks.Progress{Blocks: 3, Target: 5, Members: 7, Copies: []int{1, 0, 2}}, "replicating 0/5 · 0 of 3 blocks safe"},
		{blocks.Progress{Blocks: 1, Safe: 1, Target: 5, Members: 7, Copies: []int{0, 0, 0, 0, 0, 1}}, "replicating 5/5 · 1 of 1 block safe"},
		{blocks.Progress{Blocks: 2, Safe: 2, Target: 5, Members: 2, Copies: []int{0, 0, 2}}, "replicating 2/2 · 2 of 2 blocks safe"},
		{blocks.Progress{Blocks: 2, Target: 5, Members: 2}, "replicating 0/2 · 0 of 2 blocks safe"},
	} {
		if got := spreading(c.p); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestGetNamesTheFileAfterItsPath(t *testing.T) {
	for path, want := range map[string]string{
		"bafkqaaa":                             "bafkqaaa",
		"bafkqaaa/a/b.txt":                     "b.txt",
		"/ipfs/bafkqaaa":                       "bafkqaaa",
		"/ipfs/bafkqaaa/a/":                    "a",
		"ipfs://bafkqaaa":                      "bafkqaaa",
		"http://bafkqaaa.ipfs.localhost/":      "bafkqaaa",
		"http://x:1/ipfs/bafkqaaa/a%20b?q=1#z": "a b",
		"bafkqaaa/..":                          "",
		"http://x/ipfs/bafkqaaa/a%2Fb":         "",
		"bafkqaaa/%2e%2e":                      "%2e%2e",
		"":                                     "",
		"/":                                    "",
	} {
		got, err := target(path, "")
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: got %q, %v, want %q", path, got, err, want)
		}
	}
	dir := t.TempDir()
	if got, err := target("bafkqaaa/x", dir); err != nil || got != filepath.Join(dir, "x") {
		t.Errorf("into a directory: got %q, %v", got, err)
	}
}

func TestMeterIsSilentWhereNobodyLooks(t *testing.T) {
	for _, c := range []struct {
		progress string
		json     bool
		want     string
	}{{"auto", false, ""}, {"none", false, ""}, {"plain", true, ""}, {"plain", false, "1 of 2\n2 of 2\n"}} {
		var out bytes.Buffer
		p := &program{err: &out, progress: c.progress, json: c.json}
		m := p.meter()
		m.show("%d of 2", 1)
		m.show("%d of 2, too soon after the other", 1)
		m.final("2 of 2")
		m.clear()
		if out.String() != c.want {
			t.Errorf("%s: got %q, want %q", c.progress, out.String(), c.want)
		}
	}
}

func TestStrangersCannotMoveTheCursor(t *testing.T) {
	if got := printable("a\x1b[2Jb\r\nc\u009b1mü"); got != "a?[2Jb??c?1mü" {
		t.Errorf("got %q", got)
	}
}
