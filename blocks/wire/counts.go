package wire

import "sync/atomic"

// Counts is what others have brought here, in bytes of blocks. Its methods may be called
// by many goroutines at once; a nil Counts counts nothing.
type Counts struct {
	brought [Handoff + 1]atomic.Int64
	cut     atomic.Int64
}

// Brought is how many bytes came in whole blocks that were offered for the reason why;
// those of an unknown one count as [Put].
func (c *Counts) Brought(why Reason) int64 { return c.brought[known(why)].Load() }

// Cut is how many bytes came in vain: of a block whose stream ended before it did, and
// with which its bringer did not go on.
func (c *Counts) Cut() int64 { return c.cut.Load() }

func known(why Reason) Reason {
	if why < Put || why > Handoff {
		return Put
	}
	return why
}

func (c *Counts) add(why Reason, bytes int) {
	if c != nil {
		c.brought[known(why)].Add(int64(bytes))
	}
}

func (c *Counts) addCut(bytes int) {
	if c != nil {
		c.cut.Add(int64(bytes))
	}
}
