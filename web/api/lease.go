package api

import (
	"context"
	"net/http"

	"github.com/cairn-network/cairn/blocks"
)

// Lease is a blocks.LeaseInfo whose CID is written as a string.
type Lease struct {
	CID string `json:"cid"`
	blocks.LeaseInfo
	Root *struct{} `json:"root,omitempty"` // hides the CID's own JSON
}

// NewLease makes i ready to be written.
func NewLease(i blocks.LeaseInfo) Lease { return Lease{CID: text(i.Root), LeaseInfo: i} }

// Parse undoes NewLease.
func (l Lease) Parse() (blocks.LeaseInfo, error) {
	var err error
	l.LeaseInfo.Root, err = parse(l.CID)
	return l.LeaseInfo, err
}

func (s *server) leases(w http.ResponseWriter, r *http.Request) {
	if p := query(r); p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	all := []Lease{}
	for l, err := range s.n.Leases(r.Context()) {
		if err != nil {
			s.fail(w, r, err)
			return
		}
		all = append(all, NewLease(l))
	}
	s.reply(w, http.StatusOK, all)
}

func (s *server) renew(w http.ResponseWriter, r *http.Request) {
	p := query(r, "path", "expires", "replicas")
	path, o := p.path(), p.lease()
	s.change(w, r, p.err, func(ctx context.Context) (blocks.LeaseInfo, error) { return s.n.Lease(ctx, path, o) })
}

// lease is what a lease is to be.
func (p *params) lease() blocks.LeaseOptions {
	return blocks.LeaseOptions{Expires: p.duration("expires", blocks.MinLeaseTime, blocks.MaxLeaseTime), Replicas: p.number("replicas", 1, blocks.MaxReplicas)}
}

func (s *server) withdraw(w http.ResponseWriter, r *http.Request) {
	p := query(r, "path")
	path := p.path()
	s.change(w, r, p.err, func(ctx context.Context) (blocks.LeaseInfo, error) { return s.n.Withdraw(ctx, path) })
}

// change answers with a lease that was changed.
func (s *server) change(w http.ResponseWriter, r *http.Request, err error, do func(context.Context) (blocks.LeaseInfo, error)) {
	if err != nil {
		s.fail(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Timing.Ask)
	defer cancel()
	info, err := do(ctx)
	switch {
	case blocks.IsNotFound(err):
		s.fail(w, r, &refusal{http.StatusNotFound, CodeNotFound, detail(err), "the list of leases has what there is"})
	case err != nil:
		s.fail(w, r, err)
	default:
		s.reply(w, http.StatusOK, NewLease(info))
	}
}
