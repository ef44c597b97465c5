package disk

import (
	"errors"

	"github.com/cairn-network/cairn/blocks/disk/seglog"
)

const (
	replayed      = 64 << 10 // records that are entered together
	replayedBytes = 4 << 20  // of their data
)

// run is a piece of the log that is entered at once.
type run struct {
	es    []seglog.Entry
	bytes []byte // of the keys and the data of es
	n     int    // bytes of data
	end   seglog.Pos
}

// add takes e along, which is lent.
func (r *run) add(e seglog.Entry) {
	if e.Kind == kindBlock {
		e.Data = nil
	}
	e.Key, e.Data = r.own(e.Key), r.own(e.Data)
	r.es, r.n, r.end = append(r.es, e), r.n+len(e.Data), e.End()
}

// own copies b, many to a piece of memory.
func (r *run) own(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	if len(b) > cap(r.bytes)-len(r.bytes) {
		r.bytes = make([]byte, 0, max(64<<10, len(b)))
	}
	at := len(r.bytes)
	r.bytes = append(r.bytes, b...)
	return r.bytes[at:len(r.bytes):len(r.bytes)]
}

func (r *run) full() bool { return len(r.es) >= replayed || r.n >= replayedBytes }

// replayer enters one run while the next is read.
type replayer struct {
	x       *index
	r       *run       // is read
	other   *run       // is entered
	entered chan error // its end; nil if none is
}

// enter has what was read be entered, when the run before it has been.
func (p *replayer) enter() error {
	if err := p.wait(); err != nil {
		return err
	}
	p.r, p.other = p.other, p.r
	p.entered = make(chan error, 1)
	go func(r *run, entered chan<- error) { entered <- p.x.apply(r.es, r.end) }(p.other, p.entered) // wait waits for it
	clear(p.r.es)
	*p.r = run{es: p.r.es[:0], bytes: p.r.bytes[:0]}
	return nil
}

// wait answers when no run is being entered any more.
func (p *replayer) wait() error {
	if p.entered == nil {
		return nil
	}
	defer func() { p.entered = nil }()
	select {
	case err := <-p.entered:
		return err
	case <-p.x.dead: // the goroutine may have ended with it
		return p.x.failed.Load()
	}
}

// replayLog enters the log behind what the index covers, and answers where it ends.
func (s *Store) replayLog() (end seglog.Pos, err error) {
	x := s.index
	dropped := make(map[uint32]bool)
	for id, t := range x.segs {
		dropped[id] = t.dropped
	}
	p := &replayer{x: x, r: new(run), other: new(run)}
	err = s.log.Replay(x.at.pos, x.at.seq, func(e seglog.Entry) error {
		if dropped[e.Pos.Seg] {
			return nil
		}
		end = e.End()
		if p.r.add(e); p.r.full() {
			return p.enter()
		}
		return nil
	})
	if err == nil {
		err = p.enter()
	}
	return end, errors.Join(err, p.wait())
}
