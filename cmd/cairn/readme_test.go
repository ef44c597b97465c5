package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The quick start of the README, line by line, as a newcomer types it.
func TestQuickStartOfTheReadme(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(readme), "## Quick start\n\n```sh\n")
	if !ok {
		t.Fatal("the README has no quick start")
	}
	section, _, _ = strings.Cut(section, "```")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "README.md"), readme, 0o600); err != nil {
		t.Fatal(err)
	}
	s := shell{dir, private(dir)}
	t.Cleanup(func() { _, _ = s.command("testnet", "down", "--purge").CombinedOutput() }) // again, if the test failed
	root, ran := "", 0
	for line := range strings.Lines(section) {
		line, _, _ = strings.Cut(line, "#")
		args := strings.Fields(strings.ReplaceAll(line, "CID", root))
		if len(args) == 0 || args[0] != "cairn" {
			continue // go install: this program is built already
		}
		c := s.command(args[1:]...)
		var said bytes.Buffer
		c.Stderr = &said
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", line, err, said.Bytes())
		}
		ran++
		switch args[1] {
		case "put":
			root = strings.TrimSpace(string(out))
		case "cat":
			if !bytes.Equal(out, readme) {
				t.Errorf("%s: %d bytes, want the %d that were put", line, len(out), len(readme))
			}
		case "health":
			if !strings.Contains(string(out), " of 5 copies live") {
				t.Errorf("%s: %s", line, out)
			}
		}
	}
	if ran < 5 {
		t.Errorf("%d commands ran: is this the quick start?", ran)
	}
}
