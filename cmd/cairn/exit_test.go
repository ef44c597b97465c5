package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
)

func TestEveryErrorHasItsStatus(t *testing.T) {
	root := blocks.New(0x55, []byte("x")).Cid()
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{&fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}, 1},
		{blocks.ErrFull, 1},
		{&client.Error{Code: api.CodeFull}, 1},
		{&client.Error{Code: api.CodeInternal}, 1},
		{usagef("no"), 2},
		{&node.ConfigError{Reason: "no"}, 2},
		{&blocks.PathError{Path: "x"}, 2},
		{&client.Error{Code: api.CodeUsage}, 2},
		{&partialError{[]error{fs.ErrNotExist}, 2}, 3},
		{&blocks.MissError{CID: root, Asked: 3}, 4},
		{&client.Error{Code: api.CodeNotFound}, 4},
		{context.DeadlineExceeded, 5},
		{&client.Error{Code: api.CodeTimeout}, 5},
		{&client.Error{Code: api.CodeUnavailable}, 5},
		{&blocks.ShortError{Root: root}, 6},
		{&client.Error{Code: api.CodeShort}, 6},
		{&node.HomeError{Dir: "x"}, 10},
		{&blocks.NewerError{Dir: "x", Version: 2}, 10},
		{&blocks.LockedError{Dir: "x", PID: 7}, 11},
		{&noDaemonError{"x"}, 12},
		{&peerDownError{"p1", "default"}, 12},
		{&client.UnreachableError{URL: "x", Err: context.DeadlineExceeded}, 12},
		{&client.Error{Code: api.CodeUnauthorized}, 12},
		{&client.Error{Code: api.CodeForbidden}, 12},
		{blocks.ErrMismatch, 13},
		{&client.Error{Code: api.CodeIntegrity}, 13},
		{context.Canceled, 130},
	} {
		for _, err := range []error{c.err, fmt.Errorf("get: %w", c.err)} {
			if c.err == nil {
				err = nil
			}
			if got, code, _ := status(err); got != c.want || (code == "") != (c.err == nil) {
				t.Errorf("%T %v: got %d %q, want %d", c.err, err, got, code, c.want)
			}
		}
	}
}

func TestAnErrorIsOneLine(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		p := &program{err: &out, json: asJSON}
		got := p.exit(errors.Join(errors.New("one"), &client.Error{Code: api.CodeNotFound, Detail: "two", Hint: "three"}))
		if got != exitNotFound || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("got %d and %q", got, out.String())
		}
		var line errorLine
		if err := json.Unmarshal(out.Bytes(), &line); asJSON && (err != nil || line != errorLine{"error", "not_found", 4, "one; two", "three"}) {
			t.Errorf("got %+v, %v", line, err)
		}
		if want := "cairn: one; two; three\n"; !asJSON && out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	}
}
