package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

var update = flag.Bool("update", false, "write docs/man anew: make man")

// TestManPagesAreCurrent holds docs/man to the commands: one page each, made from
// their help, the same on every machine.
func TestManPagesAreCurrent(t *testing.T) {
	dir := filepath.Join("..", "..", "docs", "man")
	pages := map[string][]byte{}
	for _, c := range commands((&program{}).root()) {
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		pages[name] = manPage(t, c)
	}
	if *update {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	there, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range there {
		if _, ok := pages[filepath.Base(file)]; ok {
			continue
		}
		if !*update {
			t.Errorf("%s is of no command: make man", file)
		} else if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range pages {
		file := filepath.Join(dir, name)
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not that of the command: make man; %v", name, err)
		}
	}
}

// manPage has a fixed date, so that it changes with the command only.
func manPage(t *testing.T, c *cobra.Command) []byte {
	t.Helper()
	date := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c.DisableAutoGenTag = true
	c.InitDefaultHelpFlag()
	var page bytes.Buffer
	header := doc.GenManHeader{
		Title: strings.ToUpper(strings.ReplaceAll(c.CommandPath(), " ", "-")), Section: "1",
		Date: &date, Source: "cairn", Manual: "cairn manual",
	}
	if err := doc.GenMan(c, &header, &page); err != nil {
		t.Fatalf("%s: %v", c.CommandPath(), err)
	}
	for _, want := range []string{".SH NAME", ".SH SYNOPSIS"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("%s has no %s", c.CommandPath(), want)
		}
	}
	if !c.HasSubCommands() && !strings.Contains(page.String(), ".SH EXAMPLE") {
		t.Errorf("%s has no example", c.CommandPath())
	}
	return page.Bytes()
}
