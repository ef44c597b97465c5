package client_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
)

// repo is the part of a fake node that has a store; its tasks fail with fault.
type repo struct{ fault error }

func (r repo) Room(context.Context, int64) error { return nil }

func (r repo) RepoStat(context.Context) (blocks.RepoStat, error) {
	return blocks.RepoStat{Version: 2, Blocks: 7, Bytes: 7 << 20, Quota: -1, Free: 1 << 40}, r.fault
}

func (r repo) RepoVerify(_ context.Context, tell func(blocks.Done)) (blocks.Verified, error) {
	far(tell)
	return blocks.Verified{Blocks: 7, Bytes: 7 << 20, Bad: []string{"a", "b"}, Healed: []string{"a"}}, r.fault
}

func (r repo) RepoGC(_ context.Context, want int64, tell func(blocks.Done)) (blocks.Swept, error) {
	far(tell)
	return blocks.Swept{Blocks: 3, Bytes: want, Kept: 4}, r.fault
}

func (r repo) RepoCompact(_ context.Context, tell func(blocks.Done)) (blocks.Compacted, error) {
	far(tell)
	return blocks.Compacted{Segments: 2, Bytes: 1 << 20}, r.fault
}

// far tells of a task that is half done, and lets the line go out.
func far(tell func(blocks.Done)) {
	tell(blocks.Done{Done: 5, Total: 10})
	time.Sleep(20 * time.Millisecond)
}

func TestTasksOnTheStoreAndTheirProgressSurviveTheWire(t *testing.T) {
	c := dial(t, &fake{})
	var heard []blocks.Done
	tell := func(d blocks.Done) { heard = append(heard, d) }
	moved := func(what string) {
		t.Helper()
		if !slices.Contains(heard, blocks.Done{Done: 5, Total: 10}) {
			t.Errorf("%s: heard %v, want that it is half done", what, heard)
		}
		heard = nil
	}
	if s, err := c.RepoStat(t.Context()); err != nil || s.Blocks != 7 || s.Quota != -1 || s.Free != 1<<40 {
		t.Errorf("stat %+v, %v", s, err)
	}
	v, err := c.RepoVerify(t.Context(), tell)
	if err != nil || v.Blocks != 7 || !slices.Equal(v.Bad, []string{"a", "b"}) || !slices.Equal(v.Healed, []string{"a"}) {
		t.Errorf("verify %+v, %v", v, err)
	}
	moved("verify")
	if s, err := c.RepoGC(t.Context(), 1<<33, tell); err != nil || s != (blocks.Swept{Blocks: 3, Bytes: 1 << 33, Kept: 4}) {
		t.Errorf("gc %+v, %v", s, err)
	}
	moved("gc")
	if s, err := c.RepoCompact(t.Context(), tell); err != nil || s.Segments != 2 || s.Bytes != 1<<20 {
		t.Errorf("compact %+v, %v", s, err)
	}
	moved("compact")
}

func TestATaskThatFailsSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code string
	}{{blocks.ErrBusy, api.CodeUnavailable}, {errors.New("the disk is on fire"), api.CodeInternal}} {
		c := dial(t, &fake{repo: repo{tt.err}})
		_, err := c.RepoGC(t.Context(), 0, nil)
		var said *client.Error
		if !errors.As(err, &said) || said.Code != tt.code {
			t.Errorf("%v came as %v, want code %s", tt.err, err, tt.code)
		}
	}
}
