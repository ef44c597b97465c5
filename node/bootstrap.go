package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/renameio/v2/maybe"
)

// EditBootstrap makes edit's answer the list network.bootstrap of the
// configuration file. Everything else in it, comments too, stays as it is. What
// is wrong with the file or with the new list is a *[ConfigError].
func EditBootstrap(file string, edit func(list []string) []string) error {
	data, err := readConfig(file)
	if err != nil {
		return err
	}
	named := func(err error) error {
		if ce, ok := errors.AsType[*ConfigError](err); ok {
			ce.File = file
		}
		return err
	}
	old, err := decodeConfig(data)
	if err != nil {
		return named(err)
	}
	want := old
	want.Network.Bootstrap = edit(slices.Clone(old.Network.Bootstrap))
	if slices.Equal(want.Network.Bootstrap, old.Network.Bootstrap) {
		return nil
	}
	if err := want.Validate(); err != nil {
		return named(err)
	}
	fresh := withBootstrap(data, want.Network.Bootstrap)
	if got, err := decodeConfig(fresh); err != nil || !same(got, want) { // a file written as nobody writes
		return &ConfigError{File: file, Key: "network.bootstrap", Reason: "this file is written in a way that is not edited safely: change the key by hand"}
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
	}
	if err := maybe.WriteFile(file, fresh, mode); err != nil {
		return fmt.Errorf("node: config: %w", err)
	}
	return nil
}

// same compares; an empty list is no list.
func same(a, b Config) bool {
	if len(a.Network.Bootstrap) == 0 && len(b.Network.Bootstrap) == 0 {
		a.Network.Bootstrap, b.Network.Bootstrap = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

var (
	networkSection = regexp.MustCompile(`(?m)^[ \t]*\[[ \t]*network[ \t]*\][^\n]*(\n|$)`)
	anySection     = regexp.MustCompile(`(?m)^[ \t]*\[`)
	bootstrapKey   = regexp.MustCompile(`(?m)^[ \t]*bootstrap[ \t]*=[ \t]*\[`)
	bootstrapIdle  = regexp.MustCompile(`(?m)^#[ \t]*bootstrap[ \t]*=[^\n]*(\n|$)`)
)

// withBootstrap is data with the list in the place of the one that is there.
func withBootstrap(data []byte, list []string) []byte {
	line := func() []byte { return []byte("bootstrap = [" + strings.Join(quoted(list), ", ") + "]\n") }
	splice := func(from, to int, text []byte) []byte { return slices.Concat(data[:from], text, data[to:]) }
	head := networkSection.FindIndex(data)
	if head == nil {
		if len(data) > 0 && !bytes.HasSuffix(data, []byte("\n")) {
			data = append(slices.Clone(data), '\n')
		}
		return slices.Concat(data, []byte("[network]\n"), line())
	}
	body := data[head[1]:]
	if next := anySection.FindIndex(body); next != nil && bootstrapKey.FindIndex(body[:next[0]]) == nil {
		body = body[:next[0]]
	}
	if at := bootstrapKey.FindIndex(body); at != nil {
		open := head[1] + at[1]
		items, end := elements(data, open)
		return splice(open, end, rewrite(data, open, end, items, list))
	}
	if at := bootstrapIdle.FindIndex(body); at != nil { // beside the one that is commented out
		return splice(head[1]+at[1], head[1]+at[1], line())
	}
	return splice(head[1], head[1], line())
}

func quoted(list []string) (out []string) {
	for _, s := range list {
		out = append(out, strconv.Quote(s)) // of the letters of an address
	}
	return out
}

// element is a string of an array: where its quotes stand, and what is between.
type element struct {
	from, to int
	text     string
}

// elements finds the strings of the array that opens before at, and its end.
func elements(data []byte, at int) (es []element, end int) {
	for i := at; i < len(data); i++ {
		switch c := data[i]; c {
		case '#':
			for i < len(data) && data[i] != '\n' {
				i++
			}
		case '"', '\'':
			from := i
			for i++; i < len(data) && data[i] != c; i++ {
				if c == '"' && data[i] == '\\' {
					i++
				}
			}
			if i < len(data) {
				es = append(es, element{from, i + 1, string(data[from+1 : i])})
			}
		case ']':
			return es, i
		}
	}
	return es, len(data)
}

// rewrite is the inside of an array with list for its elements: those that stay,
// stay as they are written, with the lines and the comments around them.
func rewrite(data []byte, open, end int, old []element, list []string) []byte {
	inside := string(data[open:end])
	if !strings.Contains(inside, "\n") {
		return []byte(strings.Join(quoted(list), ", "))
	}
	var out strings.Builder
	indent, at := "  ", open
	kept := map[string]bool{}
	for _, e := range old {
		start := bytes.LastIndexByte(data[:e.from], '\n') + 1
		if lead := string(data[max(start, open):e.from]); strings.TrimSpace(lead) == "" && start > open {
			indent = lead
		}
		stop := e.to // with its comma, its comment and its line, if that is its own
		for stop < end && data[stop] != '\n' {
			stop++
		}
		if slices.Contains(list, e.text) && !kept[e.text] {
			kept[e.text] = true
			out.Write(data[at:e.to])
			if at = e.to; !comma(data[at:end]) {
				out.WriteByte(',')
			}
			continue
		}
		out.Write(bytes.TrimRight(data[at:e.from], " \t\n"))
		at = stop
	}
	out.WriteString(strings.TrimRight(string(data[at:end]), " \t\n"))
	for _, s := range list {
		if !kept[s] {
			out.WriteString("\n" + indent + strconv.Quote(s) + ",")
		}
	}
	return []byte(out.String() + "\n")
}

// comma reports whether the next thing in data is a comma.
func comma(data []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(data, " \t\n"), []byte(","))
}
