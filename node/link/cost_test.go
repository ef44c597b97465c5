package link_test

import (
	"net"
	"testing"

	"github.com/cairn-network/cairn/node/link"
)

// sink takes what is written to it.
type sink struct{ net.Conn }

func (sink) Write(b []byte) (int, error) { return len(b), nil }

func TestLineWithNothingSetAllocatesNothing(t *testing.T) {
	c, buf := link.New(nil).Conn(sink{}), make([]byte, 16<<10)
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Write(buf) }); n != 0 {
		t.Errorf("%.0f allocations a Write", n)
	}
}

// What a line on which nothing is set costs a Write, beside a socket's microseconds.
func BenchmarkWriteWithNothingSet(b *testing.B) {
	c, buf := link.New(nil).Conn(sink{}), make([]byte, 16<<10)
	for b.Loop() {
		if _, err := c.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
}
