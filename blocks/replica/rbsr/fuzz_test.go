package rbsr_test

import (
	"testing"

	"github.com/cairn-network/cairn/blocks/replica/rbsr"
)

// cut splits fuzz bytes into messages: a length of two bytes before each.
func cut(b []byte) (msgs [][]byte) {
	for len(b) > 2 {
		n := min(int(b[0])<<8|int(b[1]), len(b)-2)
		msgs, b = append(msgs, b[2:2+n]), b[2+n:]
	}
	return msgs
}

func join(msgs ...[]byte) (b []byte) {
	for _, m := range msgs {
		if len(m) < 1<<16 {
			b = append(append(b, byte(len(m)>>8), byte(len(m))), m...)
		}
	}
	return b
}

// Whatever an initiator says, what a responder answers stays within its limits.
func FuzzResponder(f *testing.F) {
	both := random(15, 400)
	mine := rbsr.NewSet(both)
	got := compare(f, append(random(16, 3), both[:390]...), both)
	var said [][]byte
	for i := 0; i < len(got.msgs); i += 2 {
		said = append(said, got.msgs[i])
	}
	f.Add(join(said...))
	f.Fuzz(func(t *testing.T, b []byte) {
		y := rbsr.Respond(mine)
		sent, got := 0, 0
		for i, m := range cut(b) {
			answer, err := y.Step(m)
			if err != nil {
				return
			}
			sent, got = sent+len(answer), got+len(m)
			if i >= rbsr.Rounds || sent > 32*mine.Len()+64<<10+got {
				t.Fatalf("%d messages, %d bytes for %d", i+1, sent, got)
			}
		}
	})
}

// Whatever a responder says, an initiator ends, and believes no more than it was told in
// keys that were sent.
func FuzzInitiator(f *testing.F) {
	both := random(15, 400)
	mine := rbsr.NewSet(append(random(16, 3), both[:390]...))
	got := compare(f, append(random(16, 3), both[:390]...), both)
	var said [][]byte
	for i := 1; i < len(got.msgs); i += 2 {
		said = append(said, got.msgs[i])
	}
	f.Add(join(said...))
	f.Fuzz(func(t *testing.T, b []byte) {
		x := rbsr.Initiate(mine)
		x.First()
		got := 0
		for i, m := range cut(b) {
			next, err := x.Step(m)
			if err != nil {
				return
			}
			got += len(m)
			have, need := x.Differences()
			seen := map[rbsr.Key]bool{}
			for _, k := range have {
				if !mine.Has(k) || seen[k] {
					t.Fatalf("have %x, which is not ours, or twice", k)
				}
				seen[k] = true
			}
			for _, k := range need {
				if mine.Has(k) || seen[k] {
					t.Fatalf("need %x, which is ours, or twice", k)
				}
				seen[k] = true
			}
			if i > rbsr.Rounds || len(need)*32 > got {
				t.Fatalf("%d messages, %d keys of %d bytes", i+1, len(need), got)
			}
			if next == nil {
				return
			}
		}
	})
}
