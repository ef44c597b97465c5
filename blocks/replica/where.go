package replica

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Where asks those who should have b, and those next to them, for proof that they have
// it, and its publisher beside them. g is asked as [Set.Health] says.
func (s *Set) Where(ctx context.Context, b Sized, g blocks.Getter) (blocks.Where, error) {
	l, leased := s.LeaseOf(ctx, b.CID.Hash())
	r := s.cfg.R
	if leased {
		r = l.R
	}
	w := blocks.Where{CID: b.CID, Size: b.Size, Target: r, Leased: leased, Publisher: l.Publisher, Expires: l.Expires, Answers: []blocks.Answer{}, Asked: time.Now()}
	seats, alive, err := s.router.Seats(ctx, b.CID.Hash(), 2*r+1)
	if err != nil {
		return w, fmt.Errorf("replica: where: %w", err)
	}
	var extra []peer.ID
	if leased {
		extra = append(extra, l.Publisher)
	}
	all, err := s.survey(ctx, l, r, []Sized{b}, g, extra...)
	if err != nil {
		return w, err
	}
	f := all[0]
	w.Members, w.Copies = min(len(f.near), 2*r), len(f.who)
	if p, ok := f.repairs(); ok && leased && !w.Good() {
		w.Repairs = p
	}
	holders := 0
	asked := ranked(seats, f.near, l.Publisher)
	for _, p := range f.more {
		if !slices.Contains(asked, p) {
			asked = append(asked, p)
		}
	}
	for i, p := range asked {
		a := s.answered(f, p, i)
		if k := slices.Index(seats, p); k >= 0 && !alive[k] {
			a.Says, a.Error = blocks.SaysSuspect, ""
		} else if holders < r {
			a.Holder = true
			holders++
		} else {
			a.Holder = slices.Contains(f.more, p)
		}
		w.Answers = append(w.Answers, a)
	}
	if leased {
		w.Answers = append(w.Answers, s.answered(f, l.Publisher, -1))
	}
	return w, nil
}

// ranked gives the seats and those who were asked, without the publisher, in the order of
// the seats; a member that came between the two looks stands last.
func ranked(seats, near []peer.ID, publisher peer.ID) []peer.ID {
	var out []peer.ID
	for _, p := range slices.Concat(seats, near) {
		if p != publisher && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out[:min(len(out), max(len(near), len(seats)))]
}

func (s *Set) answered(f *found, p peer.ID, rank int) blocks.Answer {
	a := blocks.Answer{Peer: p, Rank: rank, Self: p == s.self}
	x := f.said[p]
	switch {
	case x == nil:
		a.Says = blocks.SaysSuspect
	case x.err != nil:
		a.Says, a.Error = blocks.SaysSilent, x.err.Error()
	case x.wrong:
		a.Says = blocks.SaysFalse
	case x.state >= wire.Held:
		a.Says = blocks.SaysProved
	case x.state >= wire.Here:
		a.Says = blocks.SaysRead
	default:
		a.Says = blocks.SaysLacks
	}
	return a
}
