package deny

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	mh "github.com/multiformats/go-multihash"
	_ "github.com/multiformats/go-multihash/register/all" // rules may use any hash function that this program has
)

// The limits of the format.
const (
	maxHead = 1 << 20 // bytes
	maxLine = 2 << 20 // bytes
)

// LineError says which line of which file is wrong. Its text is for the owner.
type LineError struct {
	File string
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("deny: %s:%d: %s", e.File, e.Line, e.Err) }

// Unwrap gives the reason.
func (e *LineError) Unwrap() error { return e.Err }

// parse adds the rules in in, which is called file, to r.
func (r *rules) parse(file string, in io.Reader) error {
	buf := bufio.NewReaderSize(in, maxHead)
	head, err := buf.Peek(maxHead)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("deny: read %s: %w", file, err)
	}
	begin := afterHead(head)
	s := bufio.NewScanner(buf)
	s.Buffer(nil, maxLine)
	n := 0
	for s.Scan() {
		n++
		line := strings.TrimSpace(s.Text())
		if n <= begin {
			if err := headLine(line); err != nil {
				return &LineError{file, n, err}
			}
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		if err := r.line(line); err != nil {
			return &LineError{file, n, err}
		}
	}
	if err := s.Err(); err != nil {
		return &LineError{file, n + 1, err}
	}
	return nil
}

// afterHead is how many lines belong to the head that data begins with; 0 if there is none.
func afterHead(data []byte) int {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if string(bytes.TrimRight(line, "\r\n\t ")) == "---" {
			return n
		}
	}
	return 0
}

// headLine refuses a version that is not known. Whatever else a head says changes no rule.
func headLine(line string) error {
	version, ok := strings.CutPrefix(line, "version:")
	if version = strings.Trim(version, ` "'`); ok && version != "1" {
		return fmt.Errorf("version %q: want 1", version)
	}
	return nil
}

// line adds one rule.
func (r *rules) line(line string) error {
	item, _, _ := strings.Cut(line, " ") // hints follow
	item, _, _ = strings.Cut(item, "\t")
	bare := strings.TrimLeft(item, "!+")
	allow := bare != item
	if len(item)-len(bare) > 1 {
		return fmt.Errorf("%q: more than one sign for an exception", clip(item))
	}
	if hash, ok := strings.CutPrefix(bare, "//"); ok {
		return r.hashed(hash, allow)
	}
	space, rest, ok := strings.Cut(strings.TrimPrefix(bare, "/"), "/")
	if !ok || bare[0] != '/' || space != "ipfs" && space != "ipns" {
		return fmt.Errorf("%q: want /ipfs/CID, /ipns/NAME or //HASH", clip(item))
	}
	name, path, _ := strings.Cut(rest, "/")
	path, err := url.PathUnescape(path)
	if err != nil {
		return fmt.Errorf("%q: %w", clip(item), err)
	}
	if strings.ContainsRune(path, 0) {
		return fmt.Errorf("%q: a NUL in a path", clip(item))
	}
	root, err := r.rootOf(space, name)
	if err != nil {
		return fmt.Errorf("%q: %w", clip(item), err)
	}
	prefix, wild := strings.CutSuffix(path, "*")
	prefix = strings.Trim(prefix, "/")
	switch {
	case wild:
		r.add(allow, keyOf(ofPrefix, space+root, prefix))
		r.prefixes[space+root] = max(r.prefixes[space+root], len(prefix))
		if prefix == "" {
			r.whole(allow, space, root)
		}
	case prefix == "":
		r.whole(allow, space, root)
	default:
		r.add(allow, keyOf(ofPath, space+root, prefix))
	}
	return nil
}

// whole adds a rule for a block or a name itself.
func (r *rules) whole(allow bool, space, root string) {
	kind := byte(ofBlock)
	if space == "ipns" {
		kind = ofName
	}
	r.add(allow, keyOf(kind, root))
}

// rootOf is the multihash of a CID or key, or the domain.
func (r *rules) rootOf(space, name string) (string, error) {
	c, err := decode(name)
	switch {
	case err == nil:
		return string(c.Hash()), nil
	case space == "ipfs":
		return "", fmt.Errorf("no CID: %w", err)
	case !strings.Contains(name, "."):
		return "", errors.New("neither a key nor a domain")
	}
	return strings.ToLower(strings.TrimSuffix(name, ".")), nil
}

// hashed adds a rule that is given as a hash. What could be read in both ways counts in both.
func (r *rules) hashed(hash string, allow bool) error {
	sum, err := hex.DecodeString(hash)
	older := err == nil && len(sum) == 32
	if older {
		r.legacy = true
		r.add(allow, keyOf(ofLegacy, hex.EncodeToString(sum)))
	}
	h, err := mh.FromB58String(hash)
	if err != nil {
		if older {
			return nil
		}
		return fmt.Errorf("%q: neither a multihash in base58 nor a SHA-256 in hex", clip("//"+hash))
	}
	d, err := mh.Decode(h)
	if err == nil {
		_, err = mh.Sum(nil, d.Code, -1)
	}
	if err != nil {
		return fmt.Errorf("%q: no hash function that is known here: %w", clip("//"+hash), err)
	}
	r.codes = append(r.codes, d.Code)
	r.add(allow, keyOf(ofDouble, hex.EncodeToString(h)))
	return nil
}

func (r *rules) add(allow bool, k key) {
	r.sorted = append(r.sorted, rule{k, uint32(len(r.sorted)), allow})
}

// clip is s as an error may show it.
func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}
