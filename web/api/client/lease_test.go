package client_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

func (f *trees) Leases(context.Context) iter.Seq2[blocks.LeaseInfo, error] {
	return func(yield func(blocks.LeaseInfo, error) bool) { yield(blocks.LeaseInfo{Root: leaf, Seq: 3}, nil) }
}
func (f *trees) Lease(_ context.Context, path string, o blocks.LeaseOptions) (blocks.LeaseInfo, error) {
	if path == "none" {
		return blocks.LeaseInfo{}, blocks.NotFound(leaf)
	}
	return blocks.LeaseInfo{Root: leaf, State: "active", Expires: time.Unix(0, 0).Add(o.Expires), Replicas: o.Replicas}, nil
}
func (f *trees) Withdraw(_ context.Context, path string) (blocks.LeaseInfo, error) {
	l, err := f.Lease(context.Background(), path, blocks.LeaseOptions{})
	l.State = "revoked"
	return l, err
}

func TestLeasesAreListedRenewedAndWithdrawn(t *testing.T) {
	c := dial(t, &fake{})
	all, err := c.Leases(t.Context())
	if err != nil || len(all) != 1 || all[0].Root != leaf || all[0].Seq != 3 {
		t.Errorf("leases %+v, %v", all, err)
	}
	l, err := c.Renew(t.Context(), "x", 48*time.Hour)
	if err != nil || l.Root != leaf || !l.Expires.Equal(time.Unix(0, 0).Add(48*time.Hour)) {
		t.Errorf("renewed %+v, %v", l, err)
	}
	pin, l, err := c.PinLeased(t.Context(), "x", "", blocks.LeaseOptions{Expires: 48 * time.Hour, Replicas: 7}, nil)
	if err != nil || !pin.Root.Defined() || l.Replicas != 7 || !l.Expires.Equal(time.Unix(0, 0).Add(48*time.Hour)) {
		t.Errorf("pinned %+v, %+v, %v", pin, l, err)
	}
	if l, err := c.Withdraw(t.Context(), "x"); err != nil || l.State != "revoked" {
		t.Errorf("withdrawn %+v, %v", l, err)
	}
	if _, err := c.Withdraw(t.Context(), "none"); !blocks.IsNotFound(err) {
		t.Errorf("withdrawn nothing: %v", err)
	}
}
