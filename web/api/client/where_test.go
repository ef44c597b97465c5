package client_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/ipfs/go-cid"
)

func TestWhereAndWhyComeBackAsTheyWere(t *testing.T) {
	c, root := dial(t, &fake{}), blocks.New(cid.Raw, data).Cid()
	w, err := c.Where(t.Context(), "data")
	if err != nil || !w.CID.Equals(root) || w.Copies != 2 || len(w.Answers) != 1 || w.Answers[0].Peer != someone {
		t.Errorf("where %+v, %v", w, err)
	}
	why, err := c.Why(t.Context(), "data")
	if err != nil || !why.Root.Equals(root) || why.Worst == nil || !why.Worst.CID.Equals(root) || why.Health == nil || why.Health.Min != 3 {
		t.Errorf("why %+v, %v", why, err)
	}
}

func TestARepairIsFollowedToItsEnd(t *testing.T) {
	c, heard := dial(t, &fake{}), int64(0)
	out, err := c.Restore(t.Context(), "data", func(d blocks.Done) { heard = max(heard, d.Done) })
	if err != nil || out.Copies != 3 || !out.Root.Defined() || heard != 1 {
		t.Errorf("%+v, heard of %d, %v", out, heard, err)
	}
	var said *client.Error
	if _, err := c.Restore(t.Context(), "unleased", nil); !errors.As(err, &said) || said.Code != api.CodeShort {
		t.Errorf("without a lease: %v", err)
	}
}

func TestAWatchedHealthComesAtOnceAndEndsWithItsContext(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	looks := 0
	for h, err := range dial(t, &fake{}).Watch(ctx, "data", true) {
		if err != nil || h.Min != 3 || len(h.Detail) != 1 {
			t.Fatalf("%+v, %v", h, err)
		}
		looks++
		stop()
	}
	if looks != 1 {
		t.Errorf("%d looks", looks)
	}
}
