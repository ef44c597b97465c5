package rbsr

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrForm says that the other side broke the rules.
var ErrForm = errors.New("rbsr: malformed message")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrForm, fmt.Errorf(format, args...))
}

const (
	keySize   = len(Key{})
	printSize = 16
)

type fingerprint [printSize]byte

// bound is where a range ends: before key, or at the end of all keys. The zero bound is
// where all begins.
type bound struct {
	key Key
	end bool
}

func (b bound) cmp(c bound) int {
	switch {
	case b.end && c.end:
		return 0
	case b.end:
		return 1
	case c.end:
		return -1
	}
	return bytes.Compare(b.key[:], c.key[:])
}

// mode is what is said of a range.
type mode byte

const (
	modeSkip mode = iota
	modePrint
	modeList
	modeAnswer
)

// span is a range as it stands in a message. Its bytes are those of the message.
type span struct {
	lo, hi bound
	mode   mode
	print  fingerprint
	had    []byte // answer: the bitmap
	n      int    // answer: of how many
	keys   []byte // list and answer
}

// each yields the keys of g.
func (g span) each(f func(k Key)) {
	for b := g.keys; len(b) > 0; b = b[keySize:] {
		f(Key(b[:keySize]))
	}
}

// reader reads the ranges of a message.
type reader struct {
	b    []byte
	at   bound
	skip bool // the range before was skipped
}

func (r *reader) more() bool { return len(r.b) > 0 }

// next reads a range. What it gives keeps parts of the message.
func (r *reader) next() (g span, err error) {
	if r.at.end {
		return g, malformed("something after the end")
	}
	g.lo, g.mode = r.at, mode(r.b[0]>>6)
	n := int(r.b[0] & 63)
	r.b = r.b[1:]
	switch {
	case n > keySize || n > len(r.b):
		return g, malformed("bound of %d bytes", n)
	case n == 0:
		g.hi.end = true
	default:
		copy(g.hi.key[:], r.b[:n])
		if r.b[n-1] == 0 {
			return g, malformed("bound with a zero at its end")
		}
		r.b = r.b[n:]
	}
	if g.lo.cmp(g.hi) >= 0 {
		return g, malformed("ranges do not ascend")
	}
	if g.mode == modeSkip && (r.skip || len(r.b) == 0) {
		return g, malformed("skipped for nothing")
	}
	r.at, r.skip = g.hi, g.mode == modeSkip
	return g, r.body(&g)
}

func (r *reader) body(g *span) (err error) {
	switch g.mode {
	case modeSkip:
		return nil
	case modePrint:
		if len(r.b) < printSize {
			return malformed("a fingerprint is cut short")
		}
		g.print = fingerprint(r.b[:printSize])
		r.b = r.b[printSize:]
		return nil
	case modeAnswer:
		if g.n, err = r.number(); err != nil {
			return err
		}
		size := (g.n + 7) / 8
		if size > len(r.b) || g.n%8 != 0 && r.b[size-1]>>(g.n%8) != 0 {
			return malformed("bitmap for %d keys", g.n)
		}
		g.had, r.b = r.b[:size], r.b[size:]
	case modeList:
	}
	n, err := r.number()
	if err != nil {
		return err
	}
	if n > len(r.b)/keySize {
		return malformed("%d keys in %d bytes", n, len(r.b))
	}
	g.keys, r.b = r.b[:n*keySize], r.b[n*keySize:]
	return g.ordered()
}

// ordered answers an error unless the keys of g ascend and are of its range.
func (g span) ordered() error {
	if len(g.keys) == 0 {
		return nil
	}
	first, last := Key(g.keys[:keySize]), Key(g.keys[len(g.keys)-keySize:])
	if g.lo.cmp(bound{key: first}) > 0 || g.hi.cmp(bound{key: last}) <= 0 {
		return malformed("a key is not of its range")
	}
	for i := keySize; i < len(g.keys); i += keySize {
		if bytes.Compare(g.keys[i-keySize:i], g.keys[i:i+keySize]) >= 0 {
			return malformed("keys do not ascend")
		}
	}
	return nil
}

func (r *reader) number() (int, error) {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 1 && r.b[n-1] == 0 || v > MaxKeys {
		return 0, malformed("a number")
	}
	r.b = r.b[n:]
	return int(v), nil
}

// writer writes the ranges of a message.
type writer struct {
	b    []byte
	at   bound
	keys int // that were written
}

// to begins what is said of a range.
func (w *writer) to(m mode, lo, hi bound) {
	if w.at.cmp(lo) < 0 {
		w.head(modeSkip, lo)
	}
	w.head(m, hi)
}

func (w *writer) head(m mode, hi bound) {
	w.at = hi
	if hi.end {
		w.b = append(w.b, byte(m)<<6)
		return
	}
	k := bytes.TrimRight(hi.key[:], "\x00")
	w.b = append(append(w.b, byte(m)<<6|byte(len(k))), k...)
}

func (w *writer) print(lo, hi bound, f fingerprint) {
	w.to(modePrint, lo, hi)
	w.b = append(w.b, f[:]...)
}

// list writes keys, with their number, as a list and an answer have them.
func (w *writer) list(keys []Key) {
	w.b = binary.AppendUvarint(w.b, uint64(len(keys)))
	for i := range keys {
		w.b = append(w.b, keys[i][:]...)
	}
	w.keys += len(keys)
}

// answer writes what is known of a list: had is a bit for each of n.
func (w *writer) answer(lo, hi bound, n int, had []byte, extra []Key) {
	w.to(modeAnswer, lo, hi)
	w.b = append(binary.AppendUvarint(w.b, uint64(n)), had...)
	w.list(extra)
}
