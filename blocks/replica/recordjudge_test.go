package replica

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever values there are, everybody picks the same one whatever the order: of two that
// differ exactly one wins, and who beats the winner of two beats both.
func TestOneOfAnyValuesWins(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	some := rapid.Custom(func(t *rapid.T) judged {
		return judged{
			rapid.SliceOfN(rapid.Byte(), 0, 2).Draw(t, "value"), rapid.Uint64Range(0, 2).Draw(t, "seq"),
			start.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "hours")) * time.Hour),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := some.Draw(t, "a"), some.Draw(t, "b"), some.Draw(t, "c")
		same := a.seq == b.seq && a.expires.Equal(b.expires) && bytes.Equal(a.value, b.value)
		if a.wins(b) && b.wins(a) || !same && !a.wins(b) && !b.wins(a) {
			t.Fatalf("of %v and %v not exactly one wins", a, b)
		}
		if a.wins(b) && b.wins(c) && !a.wins(c) {
			t.Fatalf("%v beats %v, which beats %v, and does not beat that", a, b, c)
		}
		for _, v := range a.rivals([]judged{a, b, c, b}) {
			if bytes.Equal(v, a.value) {
				t.Fatalf("%v is its own rival", a)
			}
		}
	})
}
