package blocks

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"

	"github.com/ipfs/go-cid"
)

// Kind says what stands under a name of a tree.
type Kind string

// The kinds.
const (
	KindFile    Kind = "file"
	KindDir     Kind = "dir"
	KindSymlink Kind = "symlink"
	KindUnknown Kind = "unknown" // its block could not be had, or is of no kind we know
)

// Item is one thing of a tree that is to be put. Directories that only lead to
// another item need no item of their own.
type Item struct {
	Path   string // below the tree, with slashes; "" is the tree itself and must be a directory
	Kind   Kind
	Target string    // of a symlink
	Body   io.Reader // of a file; read to its end before the next item is asked for
}

// Entry is one name of a directory.
type Entry struct {
	Name   string
	CID    cid.Cid
	Kind   Kind
	Size   int64  // of a file its bytes, of a directory those of everything under it; -1: not known
	Target string // of a symlink
}

// Stat says what a path names.
type Stat struct {
	CID    cid.Cid
	Kind   Kind
	Size   int64  // of a file its bytes; of a directory as Total
	Total  int64  // bytes of all blocks under it, as its root states them
	Target string // of a symlink
	Pinned bool   // its owner wants it kept at the peer that was asked
}

// maxName is the longest name in bytes, as file systems have it.
const maxName = 255

// NameError says that a tree cannot have an item, and names it.
type NameError struct {
	Path   string
	Reason string
}

func (e *NameError) Error() string { return fmt.Sprintf("entry %q: %s", e.Path, e.Reason) }

// CheckName answers "" for a name that a directory may have, or what is wrong with it.
func CheckName(name string) string {
	switch {
	case name == "":
		return "an empty name"
	case name == "." || name == "..":
		return fmt.Sprintf("the name %q", name)
	case len(name) > maxName:
		return fmt.Sprintf("a name of %d bytes, limit %d", len(name), maxName)
	case !utf8.ValidString(name):
		return "a name that is not UTF-8"
	}
	for _, r := range name {
		if r == '/' || unicode.IsControl(r) {
			return fmt.Sprintf("a name with the character %q", r)
		}
	}
	return ""
}
