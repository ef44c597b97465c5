package disk

import (
	"math/bits"
	"sync"
)

const (
	leastBits = 12 // 4 KiB
	mostBits  = 23 // 8 MiB: more than a record has
)

// buffers lends memory for records that are read, by powers of two.
type buffers struct {
	pools [mostBits - leastBits + 1]sync.Pool
}

// get lends n bytes; put takes them back.
func (p *buffers) get(n int) *[]byte {
	class := max(bits.Len(uint(n-1)), leastBits)
	if b, ok := p.pools[class-leastBits].Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 1<<class)
	return &b
}

func (p *buffers) put(b *[]byte) { p.pools[bits.Len(uint(len(*b)-1))-leastBits].Put(b) }
