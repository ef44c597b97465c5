package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk/seglog"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// patience is how long a read waits for its finding to be written down.
const patience = 5 * time.Second

// Get gives the block of c, checked.
func (s *Store) Get(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	var data []byte
	err := s.read(ctx, c.Hash(), func(n int) []byte { return make([]byte, n) }, func(d []byte) error { data = d; return nil })
	if err != nil {
		return blocks.Block{}, fmt.Errorf("disk: get %s: %w", c, err)
	}
	return blocks.Stored(c, data), nil
}

// View lends the checked bytes of h to use.
func (s *Store) View(ctx context.Context, h mh.Multihash, use func([]byte) error) error {
	var lent *[]byte
	give := func() {
		if lent != nil {
			s.buffers.put(lent)
			lent = nil
		}
	}
	defer give()
	var mine error
	err := s.read(ctx, h, func(n int) []byte {
		give()
		lent = s.buffers.get(n)
		return *lent
	}, func(d []byte) error { mine = use(d); return nil })
	if err != nil {
		return fmt.Errorf("disk: view: %w", err)
	}
	return mine
}

// errCorrupt is what a block is that was found wrong: as good as absent.
func errCorrupt(h mh.Multihash) error {
	return fmt.Errorf("%w on disk: %w", blocks.ErrMismatch, blocks.NotFound(blocks.Key(h)))
}

// read reads the block h into what buffer gives, and lends it to use.
func (s *Store) read(ctx context.Context, h mh.Multihash, buffer func(int) []byte, use func([]byte) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.users.Done()
	if err := ctx.Err(); err != nil {
		return err
	}
	for {
		p, err := s.find(h)
		if err != nil {
			return err
		}
		data, err := s.log.Read(p.pos, h, p.n, buffer(int(seglog.Size(len(h), p.n))))
		if err == nil {
			s.noteRead(h)
			return use(data)
		}
		if !errors.Is(err, seglog.ErrDamaged) && !errors.Is(err, seglog.ErrGone) {
			return err
		}
		// Deleted or moved while we read: look again.
		if again, err2 := s.find(h); err2 != nil || again != p {
			if err2 != nil {
				return err2
			}
			continue
		}
		if data != nil && s.hashes(h, data) {
			return use(data) // the checksum has rotted, the bytes have not
		}
		s.condemn(ctx, h, p, err)
		return errCorrupt(h)
	}
}

// hashes reports whether data hashes to h.
func (s *Store) hashes(h mh.Multihash, data []byte) bool {
	_, err := blocks.Check(blocks.Key(h), data)
	return err == nil
}

// find is where the block h is, or why it is not.
func (s *Store) find(h mh.Multihash) (place, error) {
	p, ok, err := s.index.get(h)
	switch {
	case err != nil:
		return p, err
	case !ok || p.state == gone:
		return p, blocks.NotFound(blocks.Key(h))
	case p.state != there || s.isBad(h, p.seq):
		return p, errCorrupt(h)
	}
	return p, nil
}

func (s *Store) isBad(h mh.Multihash, seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.bad[string(h)]
	return ok && at == seq
}

// condemn enters that the block h at p is wrong, here at once and, if the log
// can be written, for good.
func (s *Store) condemn(ctx context.Context, h mh.Multihash, p place, why error) {
	s.cfg.Log.Error("block is corrupt on disk", "cid", blocks.Key(h), "err", why)
	s.mu.Lock()
	s.bad[string(h)] = p.seq
	s.mu.Unlock()
	if s.cfg.ReadOnly {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if _, err := s.log.Append(ctx, seglog.Record{Kind: kindBad, Key: h, Seq: p.seq}); err != nil {
		s.cfg.Log.Debug("the log does not say yet that a block is corrupt", "err", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.bad, string(h))
}

// Put keeps bs: each is on the disk when it answers nil.
func (s *Store) Put(ctx context.Context, bs ...blocks.Block) error {
	if err := s.enter(); err != nil {
		return fmt.Errorf("disk: put: %w", err)
	}
	defer s.users.Done()
	if err := s.put(ctx, bs); err != nil {
		return fmt.Errorf("disk: put: %w", spaced(err))
	}
	return nil
}

func (s *Store) put(ctx context.Context, bs []blocks.Block) error {
	if err := errors.Join(ctx.Err(), s.writable()); err != nil {
		return err
	}
	hs := make([]mh.Multihash, len(bs))
	for i, b := range bs {
		hs[i] = b.Hash()
		if n := len(b.RawData()); n > seglog.MaxData || len(hs[i]) > seglog.MaxKey || len(hs[i]) == 0 {
			return fmt.Errorf("%w: %d bytes under a key of %d", blocks.ErrUnfit, n, len(hs[i]))
		}
	}
	if err := s.flights.settle(ctx, hs); err != nil {
		return err
	}
	for {
		if err := s.index.paid(); err != nil {
			return err
		}
		absent, err := s.absent(bs)
		if err != nil {
			return err
		}
		if len(absent) == 0 {
			// Not while a deletion may stand in the log that failed.
			return s.sure(ctx)
		}
		others, err := s.write(ctx, absent)
		if err != nil {
			return err
		}
		for _, o := range others {
			if err := o.wait(ctx); err != nil {
				return err
			}
		}
		if len(others) == 0 {
			return nil
		}
		bs = absent // those of others may have failed
	}
}

// absent picks those of bs that are not here, or wrong.
func (s *Store) absent(bs []blocks.Block) (out []blocks.Block, err error) {
	for _, b := range bs {
		p, ok, err := s.index.get(b.Hash())
		if err != nil {
			return nil, err
		}
		if !ok || p.state != there || s.isBad(b.Hash(), p.seq) {
			out = append(out, b)
		} else {
			s.noteRead(b.Hash())
		}
	}
	return out, nil
}

// write writes those of bs that nobody else is writing, and answers who is.
func (s *Store) write(ctx context.Context, bs []blocks.Block) (others []*flight, err error) {
	hs := make([]mh.Multihash, len(bs))
	for i, b := range bs {
		hs[i] = b.Hash()
	}
	mine, own, others := s.flights.begin(s.flights.puts, hs)
	defer s.flights.end(s.flights.puts, hs, own)
	recs, total := make([]seglog.Record, 0, len(bs)), int64(0)
	for i, b := range bs {
		if mine[i] {
			recs = append(recs, seglog.Record{Kind: kindBlock, Key: hs[i], Data: b.RawData()})
			total += seglog.Size(len(hs[i]), len(b.RawData()))
		}
	}
	if len(recs) == 0 {
		return others, nil
	}
	if err := s.room(s.cfg.Reserve + total); err != nil {
		return nil, err
	}
	// What was found there before the flight began may have been written since,
	// by a flight that has ended: twice does no harm.
	if err := s.index.sound(); err != nil {
		return nil, err // else the log would grow by what is refused
	}
	if _, err = s.log.Append(ctx, recs...); err == nil {
		s.mended(recs)
	}
	return others, err
}

// mended forgets that what was just written had been found wrong.
func (s *Store) mended(recs []seglog.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bad) == 0 {
		return
	}
	for _, r := range recs {
		delete(s.bad, string(r.Key))
	}
}

// writable answers why nothing may be written.
func (s *Store) writable() error {
	if s.cfg.ReadOnly {
		return seglog.ErrReadOnly
	}
	return nil
}

// Has reports whether h is here and was not found corrupt.
func (s *Store) Has(ctx context.Context, h mh.Multihash) (bool, error) {
	err := s.enter()
	if err == nil {
		defer s.users.Done()
		err = ctx.Err()
	}
	if err != nil {
		return false, fmt.Errorf("disk: has: %w", err)
	}
	p, ok, err := s.index.get(h)
	if err != nil {
		return false, fmt.Errorf("disk: has: %w", err)
	}
	return ok && p.state == there && !s.isBad(h, p.seq), nil
}

// Size is the length of the block h.
func (s *Store) Size(ctx context.Context, h mh.Multihash) (int, error) {
	if err := s.enter(); err != nil {
		return 0, fmt.Errorf("disk: size: %w", err)
	}
	defer s.users.Done()
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("disk: size: %w", err)
	}
	p, err := s.find(h)
	if err != nil {
		return 0, fmt.Errorf("disk: size: %w", err)
	}
	return p.n, nil
}

// Delete forgets hs. It works on a disk that is full.
func (s *Store) Delete(ctx context.Context, hs ...mh.Multihash) error {
	if err := s.enter(); err != nil {
		return fmt.Errorf("disk: delete: %w", err)
	}
	defer s.users.Done()
	err := errors.Join(ctx.Err(), s.writable())
	if err == nil {
		err = s.forget(ctx, hs)
	}
	if err != nil {
		return fmt.Errorf("disk: delete: %w", spaced(err))
	}
	return nil
}

// forget deletes those of hs that are here.
func (s *Store) forget(ctx context.Context, hs []mh.Multihash) error {
	mine, own, others := s.flights.begin(s.flights.dels, hs)
	defer s.flights.end(s.flights.dels, hs, own)
	if err := s.index.paid(); err != nil {
		return err
	}
	var recs []seglog.Record
	for i, h := range hs {
		if !mine[i] {
			continue
		}
		p, ok, err := s.index.get(h)
		if err != nil {
			return err
		}
		if ok && p.state != gone {
			recs = append(recs, seglog.Record{Kind: kindDelete, Key: h})
		}
	}
	if len(recs) > 0 {
		if err := s.index.stuck(forDeletes); err != nil {
			return err
		}
		if _, err := s.appendTight(ctx, recs); err != nil {
			return err
		}
		s.punch()
	} else if err := s.sure(ctx); err != nil {
		return err
	}
	for _, o := range others {
		if err := o.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sure answers nil when the index says all that the log says: only then may what
// it says make a call needless. A record that was refused may be in the log.
func (s *Store) sure(ctx context.Context) error {
	if err := s.index.sound(); err != nil {
		return err
	}
	return s.log.Ready(ctx)
}

// punch gives the data of deleted blocks back to the disk.
func (s *Store) punch() {
	s.index.mu.Lock()
	freed := s.index.freed
	s.index.freed = nil
	s.index.mu.Unlock()
	for _, f := range freed {
		if err := s.log.Punch(f.pos, f.key, f.n); err != nil {
			s.cfg.Log.Debug("space of a deleted block stays taken until it is compacted", "err", err)
			return
		}
	}
}

// All yields every key in byte order, as it was when the loop began.
func (s *Store) All(ctx context.Context) iter.Seq2[mh.Multihash, error] {
	return func(yield func(mh.Multihash, error) bool) {
		err := s.scan(ctx, []byte(byBlock), func(k, value []byte) (bool, error) {
			p, _, err := parsePlace(value)
			if err != nil || p.state != there {
				return true, err
			}
			return yield(bytes.Clone(k[len(byBlock):]), nil), nil
		})
		if err != nil {
			yield(nil, fmt.Errorf("disk: all: %w", err))
		}
	}
}
