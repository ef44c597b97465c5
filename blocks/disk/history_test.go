package disk_test

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk"
	mh "github.com/multiformats/go-multihash"
)

// history is what was asked of a store and what it acknowledged when, counted in
// operations of the disk below it. The facts of one key follow each other; those
// of several keys may overlap.
type history struct {
	mu    sync.Mutex
	facts map[string][]fact // guarded by mu; by key
	bytes map[string]string // guarded by mu; every block that was ever put
	count func() int        // operations until now

	tolerate bool // an error is no failure: what was asked may have happened or not
	failed   int  // guarded by mu; how often
}

// The keys of facts are "b"+hash, "h"+hash+lease id and "p"+root.
type fact struct {
	value      string // absent, or what must be there; anything goes for either
	begun, end int    // operations done when it was asked for, and when it was acknowledged
}

const (
	absent = "\x00absent"
	either = "\x00either"
)

func newHistory(count func() int) *history {
	return &history{facts: map[string][]fact{}, bytes: map[string]string{}, count: count}
}

// say does what makes value the value of keys, and notes it.
func (h *history) say(value string, keys []string, do func() error) error {
	begun := h.count()
	h.mu.Lock()
	for _, k := range keys { // may happen from now on
		h.facts[k] = append(h.facts[k], fact{value, begun, 1 << 62})
	}
	h.mu.Unlock()
	err := do()
	end := h.count()
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		if !h.tolerate {
			return err
		}
		h.failed++
		value = either
	}
	for _, k := range keys {
		h.facts[k][len(h.facts[k])-1].value, h.facts[k][len(h.facts[k])-1].end = value, end
	}
	return nil
}

// now is what key must be when all is done, absent when nothing was said of it.
func (h *history) now(key string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if fs := h.facts[key]; len(fs) > 0 {
		return fs[len(fs)-1].value
	}
	return absent
}

// allowed is what key may be after a crash at operation at.
func (h *history) allowed(key string, at int) []string {
	out := []string{absent}
	for _, f := range h.facts[key] {
		switch {
		case f.end <= at:
			out = []string{f.value}
		case f.begun < at:
			out = append(out, f.value)
		}
	}
	return out
}

func fits(got string, allowed []string) bool {
	return slices.Contains(allowed, got) || slices.Contains(allowed, either)
}

// verdict is what a store was found to be after a crash.
type verdict struct {
	lost, wrong, risen, odd int
	why                     []string
}

func (v *verdict) add(n *int, format string, args ...any) {
	*n++
	if len(v.why) < 5 {
		v.why = append(v.why, fmt.Sprintf(format, args...))
	}
}

// judge holds s to what was acknowledged before operation at.
func (h *history) judge(ctx context.Context, s *disk.Store, at int) (v verdict) {
	found, err := h.found(ctx, s, &v)
	if err != nil {
		v.add(&v.odd, "list: %v", err)
	}
	for key := range h.facts {
		got, ok := found[key]
		if !ok {
			got = absent
		}
		delete(found, key)
		allowed := h.allowed(key, at)
		switch {
		case fits(got, allowed):
		case got == absent:
			v.add(&v.lost, "%s lost: %s", name(key), facts(h.facts[key]))
		case slices.Equal(allowed, []string{absent}):
			v.add(&v.risen, "%s is back: %s", name(key), facts(h.facts[key]))
		default:
			v.add(&v.wrong, "%s has another value: %s", name(key), facts(h.facts[key]))
		}
	}
	for key := range found {
		v.add(&v.wrong, "%s was never there", name(key))
	}
	return v
}

func name(key string) string { return fmt.Sprintf("%c %.6x", key[0], key[max(len(key)-6, 1):]) }

func facts(fs []fact) (out string) {
	for _, f := range fs {
		what := "there"
		switch f.value {
		case absent:
			what = "deleted"
		case either:
			what = "refused or swept"
		}
		out += fmt.Sprintf(" [%d,%d] %s", f.begun, f.end, what)
	}
	return out
}

// found reads all that s has. Every block is read, and must be what was put.
func (h *history) found(ctx context.Context, s *disk.Store, v *verdict) (map[string]string, error) {
	out := map[string]string{}
	for k, err := range s.All(ctx) {
		if err != nil {
			return out, err
		}
		if string(k) == string(probe.Hash()) {
			continue // of a recovery that crashed
		}
		key := "b" + string(k)
		err := s.View(ctx, k, func(data []byte) error {
			if want, ok := h.bytes[string(k)]; !ok || want != string(data) {
				v.add(&v.wrong, "%s: wrong bytes", name(key))
			}
			return nil
		})
		if ok, err2 := s.Has(ctx, k); err == nil && (!ok || err2 != nil) {
			v.add(&v.odd, "%s: has says %v, %v", name(key), ok, err2)
		}
		if err != nil {
			v.add(&v.odd, "%s is listed but: %v", name(key), err)
			continue // as good as lost
		}
		out[key] = ""
	}
	held := int64(0)
	for x, err := range s.Held(ctx) {
		if err != nil {
			return out, err
		}
		held++
		for _, l := range x.Leases {
			out[holdKey(x.Hash, l)] = ""
		}
	}
	if n := s.Count(); n != held {
		v.add(&v.odd, "count says %d, %d are held", n, held)
	}
	for p, err := range s.Pins(ctx) {
		if err != nil {
			return out, err
		}
		out["p"+string(p.Root.Bytes())] = p.Name
	}
	return out, nil
}

func holdKey(h mh.Multihash, l blocks.Lease) string {
	id := l.ID()
	return "h" + string(h) + string(id[:])
}
