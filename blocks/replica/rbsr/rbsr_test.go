package rbsr_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/cairn-network/cairn/blocks/replica/rbsr"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// random gives n keys that depend on seed and n only.
func random(seed uint64, n int) []rbsr.Key {
	r := rand.New(rand.NewPCG(seed, seed))
	out := make([]rbsr.Key, n)
	for i := range out {
		for j := 0; j < 32; j += 8 {
			binary.BigEndian.PutUint64(out[i][j:], r.Uint64())
		}
	}
	return out
}

// talk is what a comparison came to and took.
type talk struct {
	have, need []rbsr.Key
	msgs       [][]byte // in turn, the initiator's first
	sent       [2]int   // bytes, of the initiator and of the responder
}

// compare runs a comparison to its end.
func compare(t interface {
	Helper()
	Fatalf(string, ...any)
}, a, b []rbsr.Key) (out talk) {
	t.Helper()
	x, y := rbsr.Initiate(rbsr.NewSet(a)), rbsr.Respond(rbsr.NewSet(b))
	for msg := x.First(); msg != nil; {
		if len(msg) > y.Room(msg) {
			t.Fatalf("message %d has %d bytes, room for %d", len(out.msgs), len(msg), y.Room(msg))
		}
		answer, err := y.Step(msg)
		if err != nil {
			t.Fatalf("responder: %v", err)
		}
		out.msgs, out.sent[0] = append(out.msgs, msg), out.sent[0]+len(msg)
		if answer != nil {
			if len(answer) > x.Room(answer) {
				t.Fatalf("answer of %d bytes, room for %d", len(answer), x.Room(answer))
			}
			out.msgs, out.sent[1] = append(out.msgs, answer), out.sent[1]+len(answer)
		}
		if msg, err = x.Step(answer); err != nil {
			t.Fatalf("initiator: %v", err)
		}
	}
	out.have, out.need = x.Differences()
	return out
}

func less(a, b rbsr.Key) int { return bytes.Compare(a[:], b[:]) }

// without gives the keys of a that are not in b, in order, each once.
func without(a, b []rbsr.Key) (out []rbsr.Key) {
	in := map[rbsr.Key]bool{}
	for _, k := range b {
		in[k] = true
	}
	for _, k := range a {
		if !in[k] {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, less)
	return slices.Compact(out)
}

func check(t interface {
	Helper()
	Fatalf(string, ...any)
}, a, b []rbsr.Key) talk {
	t.Helper()
	got := compare(t, a, b)
	slices.SortFunc(got.have, less)
	slices.SortFunc(got.need, less)
	if have, need := without(a, b), without(b, a); !slices.Equal(got.have, have) || !slices.Equal(got.need, need) {
		t.Fatalf("%d keys and %d: have %d, need %d; want %d and %d", len(a), len(b), len(got.have), len(got.need), len(have), len(need))
	}
	if len(got.msgs) > 2*rbsr.Rounds {
		t.Fatalf("%d messages", len(got.msgs))
	}
	return got
}

// Whatever two sets are, the initiator learns exactly what only one of them has; equal
// ones cost one message.
func TestTheDifferencesAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.Custom(func(t *rapid.T) (k rbsr.Key) {
			near := rapid.SliceOfN(rapid.ByteRange(0, 3), 3, 3).Draw(t, "bytes") // many stand close together
			copy(k[rapid.SampledFrom([]int{0, 0, 0, 1, 29}).Draw(t, "at"):], near)
			return k
		})
		a := rapid.SliceOfN(key, 0, 400).Draw(t, "a")
		b := rapid.SliceOfN(key, 0, 400).Draw(t, "b")
		if rapid.Bool().Draw(t, "alike") {
			b = append(slices.Clone(a), b[:min(len(b), 5)]...)
		}
		check(t, a, b)
		if got := check(t, a, a); len(got.msgs) != 1 {
			t.Fatalf("%d messages for equal sets", len(got.msgs))
		}
	})
}

// The same with large sets, from no differences to nothing in common.
func TestTheDifferencesOfLargeSetsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 6000).Draw(t, "common")
		both := random(rapid.Uint64().Draw(t, "seed"), n)
		a := append(random(1, rapid.IntRange(0, 700).Draw(t, "a")), both...)
		b := append(random(2, rapid.IntRange(0, 700).Draw(t, "b")), both...)
		got := check(t, a, b)
		for i, own := range []int{len(a), len(b)} {
			if limit := 32*own + (n+700)/8 + 64<<10; got.sent[i] > limit {
				t.Fatalf("side %d sent %d bytes, limit %d", i, got.sent[i], limit)
			}
		}
	})
}

// The bytes of DESIGN's kind: half of the differences on each side. The framing of the
// wire, 5 bytes for a short message, is not in them.
func TestTheBytesOfAComparison(t *testing.T) {
	for _, n := range []int{10_000, 100_000} {
		both := random(3, n)
		for _, tt := range []struct{ differ, most, msgs int }{
			{0, 23, 1}, {2, 4 << 10, 6}, {10, 16 << 10, 6}, {100, 121 << 10, 8}, {1000, 1000 << 10, 16},
		} {
			a := append(random(4, tt.differ/2), both...)
			b := append(random(5, tt.differ-tt.differ/2), both...)
			got := check(t, a, b)
			sum := got.sent[0] + got.sent[1]
			t.Logf("n=%d differ=%d bytes=%d messages=%d full=%d", n, tt.differ, sum, len(got.msgs), 32*n)
			if sum > tt.most || len(got.msgs) > tt.msgs {
				t.Errorf("n=%d differ=%d: %d bytes in %d messages, want at most %d in %d", n, tt.differ, sum, len(got.msgs), tt.most, tt.msgs)
			}
		}
		for _, tenths := range []int{2, 5, 10} { // so much is a list, in few messages
			a, b := random(4, n*tenths/10), append(random(5, n*tenths/10), both...)
			got := check(t, append(a, both...), b)
			t.Logf("n=%d differ=%d bytes=%d messages=%d full=%d", n, 2*len(a), got.sent[0]+got.sent[1], len(got.msgs), 32*len(b))
			if got.sent[0]+got.sent[1] > 2*(32*len(b)+64<<10)+len(b)/8 { // each side its list and 64 KiB, a bit for each key
				t.Errorf("%d bytes", got.sent[0]+got.sent[1])
			}
		}
		if got := check(t, nil, both); len(got.msgs) != 2 || got.sent[1] > 32*n+64<<10 {
			t.Errorf("who has nothing: %d messages, %d bytes", len(got.msgs), got.sent[1])
		}
	}
}

// The messages of one small comparison are these bytes: changed ones are another protocol.
func TestMessagesAreTheirGoldenBytes(t *testing.T) {
	both := random(6, 300)
	got := check(t, append(random(7, 2), both...), append(random(8, 2), both...))
	var text []byte
	for _, m := range got.msgs {
		text = append(hex.AppendEncode(text, m), '\n')
	}
	const file = "testdata/messages.hex"
	if *update {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want) {
		t.Errorf("got\n%swant\n%s", text, want)
	}
}

// A side that asks again and again for the same is stopped before it has cost more than
// the list and 64 KiB.
func TestAGreedyInitiatorIsStopped(t *testing.T) {
	mine := rbsr.NewSet(random(9, 5000))
	y := rbsr.Respond(mine)
	ask := append(binary.AppendUvarint(nil, 5000), 1<<6) // a fingerprint of all, which is wrong
	ask = append(ask, make([]byte, 16)...)
	list := []byte{2 << 6, 0} // I have nothing: what have you?
	sent := 0
	for i := 0; ; i++ {
		answer, err := y.Step(ask)
		if err != nil {
			break
		}
		if sent += len(answer); i > rbsr.Rounds || sent > 32*5000+64<<10+5000/8 {
			t.Fatalf("%d messages, %d bytes", i, sent)
		}
		ask = list
	}
	if sent == 0 {
		t.Error("nothing was answered")
	}
}

// What breaks the rules is refused on both sides.
func TestWhatBreaksTheRulesIsRefused(t *testing.T) {
	mine := rbsr.NewSet(random(10, 100))
	print := append([]byte{1 << 6}, make([]byte, 16)...)
	up := func(b ...byte) []byte { return append([]byte{100}, b...) } // with the count
	for name, msg := range map[string][]byte{
		"nothing":              {},
		"a count of 2^20 + 1":  append(binary.AppendUvarint(nil, 1<<20+1), print...),
		"a long count":         append([]byte{0xe4, 0x00}, print...),
		"print cut short":      up(print[:10]...),
		"bound of 33 bytes":    up(append([]byte{1<<6 | 33}, make([]byte, 60)...)...),
		"bound with a zero":    up(append([]byte{1<<6 | 2, 5, 0}, make([]byte, 16)...)...),
		"after the end":        up(append(slices.Clone(print), print...)...),
		"a skip at the end":    up(1, 5),
		"two skips":            up(append([]byte{1, 5, 1, 6}, print...)...),
		"not ascending":        up(append([]byte{1, 5, 1<<6 | 1, 5}, make([]byte, 16)...)...),
		"more keys than bytes": up(2<<6, 2, 1),
		"a million keys":       up(2<<6, 0x80, 0x80, 0x40),
		"a key not in range":   up(append([]byte{2<<6 | 1, 1, 1}, bytes.Repeat([]byte{9}, 32)...)...),
		"the same key twice":   up(append([]byte{2 << 6, 2}, make([]byte, 64)...)...),
		"a bitmap too long":    up(3<<6, 1, 0xff, 0),
		"an answer to nothing": up(3<<6, 0, 0),
	} {
		if answer, err := rbsr.Respond(mine).Step(msg); err == nil {
			t.Errorf("responder, %s: %x", name, answer)
		}
		x := rbsr.Initiate(mine)
		x.First()
		if next, err := x.Step(msg); err == nil && name != "nothing" {
			t.Errorf("initiator, %s: %x", name, next)
		}
	}
}

func BenchmarkNewSet(b *testing.B) {
	keys := random(11, 100_000)
	for b.Loop() {
		rbsr.NewSet(keys)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/key")
}

func BenchmarkAHundredDifferences(b *testing.B) {
	both := random(12, 100_000)
	x, y := rbsr.NewSet(append(random(13, 50), both...)), rbsr.NewSet(append(random(14, 50), both...))
	for b.Loop() {
		i, r := rbsr.Initiate(x), rbsr.Respond(y)
		for msg := i.First(); msg != nil; {
			answer, err := r.Step(msg)
			if err != nil {
				b.Fatal(err)
			}
			if msg, err = i.Step(answer); err != nil {
				b.Fatal(err)
			}
		}
	}
}
