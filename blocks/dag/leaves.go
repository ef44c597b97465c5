package dag

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/ipld/unixfs"
	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// window is how much of a file is in hand at most: asked for, or here and not read.
type window struct {
	bytes  int64 // as far as parents say how long their leaves are
	blocks int
}

// ahead16 is the window of a [File]: what a line of a gigabit holds in a tenth of a second. No
// block is larger than [blocks.MaxSize], so that at least eight are in hand.
var ahead16 = window{bytes: 16 << 20, blocks: 64}

const (
	sequential = 4           // blocks in hand of a file that is read from its beginning, at first
	leisurely  = time.Second // a leaf that was longer on its way was asked for early enough
)

// leaves walks the leaves of a file in order and has those asked for that are next:
//
//	root → parts: a leaf asked for, a leaf asked for, a parent asked for, children not asked for …
//	front part: leaf → reader | parent → its children
//
// It begins with few in hand and has twice as many after each leaf that was read, up to its
// window, as long as they come soon: who reads little here and there asks for little, and
// on a slow line nothing waits long behind what is not needed yet. It is used by one goroutine.
// The goroutine of each block ends with its answer, or when the context of get does.
type leaves struct {
	get  func(cid.Cid) (ipld.Node, error)
	over func() <-chan struct{} // closed when get answers no more
	why  func() error           // and why
	run  func(func()) error     // on a goroutine of its own
	stop context.CancelFunc     // ends get

	most  func() window
	hand  int           // blocks in hand now, at most
	parts []*part       // in the order of the file
	wake  chan struct{} // 1-buffered: a block came
}

// part is a piece of the file: a block that was asked for, or the children of one.
type part struct {
	cid   cid.Cid
	depth int
	skip  int64 // bytes of it before the first that is wanted
	size  int64 // bytes that it may have
	early bool  // asked for before its turn
	asked time.Time

	done chan struct{} // closed once what follows is set; nil for children
	took time.Duration
	real int64 // bytes that it has
	data []byte
	err  error

	links []*ipld.Link // children, of which the first was not asked for yet
	sizes []uint64     // of the file in each of links; nil: not known
}

// from puts top into hand, without its first bytes.
func (l *leaves) from(top ipld.Node, skip int64) {
	p := &part{cid: top.Cid(), skip: skip, done: make(chan struct{})}
	p.open(top)
	close(p.done)
	l.parts = []*part{p}
}

// hurry lets a few be in hand at once, for who reads on for sure.
func (l *leaves) hurry() { l.hand = max(l.hand, min(sequential, l.most().blocks)) }

// next gives the bytes of the next leaf that has any, or io.EOF.
func (l *leaves) next() ([]byte, error) {
	for {
		l.fill()
		if len(l.parts) == 0 {
			return nil, io.EOF
		}
		p := l.parts[0] // fill has asked for it
		if !p.here() {
			select {
			case <-p.done:
			case <-l.wake: // maybe a parent, whose children can be asked for
			case <-l.over():
				return nil, l.why()
			}
			continue
		}
		switch {
		case p.err != nil && p.early && !blocks.IsNotFound(p.err) && l.why() == nil:
			p.early = false // it may have waited for those before it until it was too late
			l.ask(p)
		case p.err != nil:
			return nil, p.err
		case len(p.links) == 0:
			l.parts[0] = nil
			l.parts = l.parts[1:]
			l.read(p)
			if data := p.data[min(p.skip, int64(len(p.data))):]; len(data) > 0 {
				return data, nil
			}
		}
	}
}

// read adjusts how many may be in hand to how long p took.
func (l *leaves) read(p *part) {
	switch {
	case p.took < leisurely:
		l.hand = min(2*l.hand, l.most().blocks)
	case p.took > 2*leisurely:
		l.hand = max(l.hand/2, min(sequential, l.hand))
	}
}

// fill asks for blocks, the next ones first, as long as there is room in the window, and
// puts children in the place of parents that it comes by. The very next block has room.
func (l *leaves) fill() {
	inHand, most := l.inHand(), l.most()
	for i := 0; i < len(l.parts); {
		p := l.parts[i]
		switch {
		case p.done != nil && p.here() && p.err == nil && len(p.links) > 0:
			inHand.blocks, inHand.bytes = inHand.blocks-1, inHand.bytes-p.bytes()
			l.parts[i] = p.children()
		case p.done != nil:
			i++
		case len(p.links) == 0:
			l.parts = slices.Delete(l.parts, i, i+1)
		default:
			first := p.first()
			if i > 0 && (inHand.blocks >= l.hand || inHand.bytes+first.size > most.bytes) {
				return
			}
			p.shift()
			p.skip, first.early = 0, i > 0
			l.ask(first)
			inHand.blocks, inHand.bytes = inHand.blocks+1, inHand.bytes+first.size
			l.parts = slices.Insert(l.parts, i, first)
		}
	}
}

// inHand is what was asked for and not read.
func (l *leaves) inHand() (w window) {
	for _, p := range l.parts {
		if p.done != nil {
			w.blocks, w.bytes = w.blocks+1, w.bytes+p.bytes()
		}
	}
	return w
}

// ask asks for p.
func (l *leaves) ask(p *part) {
	p.done, p.asked, p.err = make(chan struct{}), time.Now(), nil
	if err := p.fit(); err != nil {
		p.err = err
		close(p.done)
		return
	}
	err := l.run(func() {
		n, err := l.get(p.cid)
		if p.err = err; err == nil {
			p.open(n)
		}
		p.took = time.Since(p.asked)
		close(p.done)
		select {
		case l.wake <- struct{}{}:
		default:
		}
	})
	if err != nil {
		p.err = err
		close(p.done)
	}
}

// fit says of p why it is not asked for.
func (p *part) fit() error {
	if p.depth > maxDepth {
		return ErrDeep
	}
	return readable(p.cid)
}

func (p *part) here() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// bytes is what p takes of the window.
func (p *part) bytes() int64 {
	if p.here() && p.err == nil {
		return p.real
	}
	return p.size
}

// open takes the block of p apart.
func (p *part) open(n ipld.Node) {
	p.real = int64(len(n.RawData()))
	links := n.Links()
	if len(links) == 0 {
		p.data, p.err = unixfs.ReadUnixFSNodeData(n)
		return
	}
	p.links = links
	if fsn, err := unixfs.ExtractFSNode(n); err == nil && fsn.NumChildren() == len(links) {
		p.sizes = fsn.BlockSizes()
	}
	p.err = p.pass()
}

// pass leaves out the children that lie before the first byte wanted.
func (p *part) pass() error {
	if p.skip == 0 || len(p.links) == 1 && p.sizes == nil {
		return nil
	}
	if p.sizes == nil {
		return uio.ErrSeekNotSupported
	}
	for len(p.links) > 0 && p.sizes[0] <= uint64(p.skip) {
		p.skip -= int64(p.sizes[0])
		p.shift()
	}
	if len(p.links) == 0 { // its size was another's word
		p.skip = 0
	}
	return nil
}

// children is what stands in the place of a parent.
func (p *part) children() *part {
	return &part{depth: p.depth, skip: p.skip, links: p.links, sizes: p.sizes}
}

// first is the first of children.
func (p *part) first() *part {
	c := &part{cid: p.links[0].Cid, depth: p.depth + 1, skip: p.skip, size: blocks.MaxSize}
	if p.sizes != nil {
		c.size = int64(min(p.sizes[0], blocks.MaxSize))
	}
	return c
}

// shift takes the first of children away.
func (p *part) shift() {
	p.links = p.links[1:]
	if p.sizes != nil {
		p.sizes = p.sizes[1:]
	}
}
