package client_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
)

// names is a peer with one key, site, whose name stands for what was published last.
type names struct{}

var site = blocks.KeyInfo{Key: "site", Name: "k51site", Type: "ed25519"}

func (names) Keys() []blocks.KeyInfo { return []blocks.KeyInfo{site} }
func (names) MakeKey(name string) (blocks.KeyInfo, error) {
	if name == "site" {
		return blocks.KeyInfo{}, &blocks.KeyError{Key: name, Reason: "is there already"}
	}
	return blocks.KeyInfo{Key: name, Name: "k51" + name, Type: "ed25519"}, nil
}

func (names) TakeKey(name string, data []byte) (blocks.KeyInfo, error) {
	return blocks.KeyInfo{Key: name, Name: "k51" + string(data)}, nil
}

func (names) GiveKey(name string) ([]byte, error) {
	if name != "site" {
		return nil, fmt.Errorf("key %q: %w", name, blocks.ErrNoKey)
	}
	return []byte("secret\n"), nil
}
func (names) RemoveKey(string) (blocks.KeyInfo, error) { return site, nil }
func (names) PublishName(_ context.Context, key, path string, o blocks.NameOptions) (blocks.Published, error) {
	return blocks.Published{Name: "k51" + key, Value: path, Seq: 2, Was: 1, Expires: time.Unix(0, 0).UTC().Add(o.Lifetime), Peers: 3}, nil
}

func (names) ResolveName(_ context.Context, name string, recursive bool) (blocks.Resolved, error) {
	if name != "site" {
		return blocks.Resolved{}, &blocks.NoRecordError{Name: name, Key: blocks.New(0x55, nil).Cid().Hash(), Asked: 3}
	}
	return blocks.Resolved{Name: name, Path: fmt.Sprint("/ipfs/", recursive), TTL: blocks.Seconds(time.Minute), Conflict: []string{"/ipfs/x"}}, nil
}

func (names) WatchName(ctx context.Context, name string) iter.Seq2[blocks.Resolved, error] {
	return func(yield func(blocks.Resolved, error) bool) {
		for i := range uint64(2) {
			if !yield(blocks.Resolved{Name: name, Path: "/ipfs/a", Seq: i + 1}, nil) {
				return
			}
		}
		if name == "bad" {
			yield(blocks.Resolved{}, &blocks.PathError{Path: name, Reason: "no name"})
		}
		<-ctx.Done()
	}
}

func (names) ImportName(_ context.Context, name string, record []byte) (blocks.Published, error) {
	if len(record) == 0 {
		return blocks.Published{}, &blocks.RecordError{Name: name, Reason: "it is not good"}
	}
	return blocks.Published{Name: name, Value: string(record)}, nil
}

func TestKeysAndNamesGoBothWays(t *testing.T) {
	c, ctx := dial(t, &fake{}), t.Context()
	same := func(what string, err error, got, want any) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", what, got, err, want)
		}
	}
	keys, err := c.Keys(ctx)
	same("keys", err, keys, []blocks.KeyInfo{site})
	key, err := c.MakeKey(ctx, "new")
	same("make", err, key, blocks.KeyInfo{Key: "new", Name: "k51new", Type: "ed25519"})
	key, err = c.TakeKey(ctx, "old", []byte("data"))
	same("take", err, key, blocks.KeyInfo{Key: "old", Name: "k51data"})
	pem, err := c.GiveKey(ctx, "site")
	same("give", err, string(pem), "secret\n")
	key, err = c.RemoveKey(ctx, "site")
	same("remove", err, key, site)
	done, err := c.PublishName(ctx, "site", "/ipfs/a", blocks.NameOptions{Lifetime: time.Hour})
	same("publish", err, done, blocks.Published{Name: "k51site", Value: "/ipfs/a", Seq: 2, Was: 1, Expires: time.Unix(3600, 0).UTC(), Peers: 3})
	done, err = c.ImportName(ctx, "k51x", []byte("record"))
	same("import", err, done, blocks.Published{Name: "k51x", Value: "record"})
	for _, recursive := range []bool{true, false} {
		r, err := c.ResolveName(ctx, "site", recursive)
		same("resolve", err, r, blocks.Resolved{Name: "site", Path: fmt.Sprint("/ipfs/", recursive), TTL: blocks.Seconds(time.Minute), Conflict: []string{"/ipfs/x"}})
	}
	var seen []uint64
	for r, err := range c.WatchName(ctx, "site") {
		if err != nil {
			t.Fatal(err)
		}
		if seen = append(seen, r.Seq); len(seen) == 2 {
			break
		}
	}
	same("watch", nil, seen, []uint64{1, 2})
}

func TestWhatIsWrongWithKeysAndNamesIsSaid(t *testing.T) {
	c, ctx := dial(t, &fake{}), t.Context()
	_, there := c.MakeKey(ctx, "site")
	_, absent := c.GiveKey(ctx, "x")
	_, nameless := c.MakeKey(ctx, "")
	_, large := c.TakeKey(ctx, "x", make([]byte, 17<<10))
	_, unknown := c.ResolveName(ctx, "x", true)
	_, bad := c.ImportName(ctx, "x", nil)
	_, short := c.PublishName(ctx, "", "x", blocks.NameOptions{Lifetime: time.Second})
	for what, c := range map[string]struct {
		err    error
		code   string
		status int
	}{
		"a key that is there":    {there, api.CodeUsage, http.StatusBadRequest},
		"a key that is not":      {absent, api.CodeNotFound, http.StatusNotFound},
		"a key without a name":   {nameless, api.CodeUsage, http.StatusBadRequest},
		"a key that is too much": {large, api.CodeUsage, http.StatusRequestEntityTooLarge},
		"a name of nobody":       {unknown, api.CodeNotFound, http.StatusNotFound},
		"a record that is bad":   {bad, api.CodeUsage, http.StatusConflict},
		"too short a life":       {short, api.CodeUsage, http.StatusBadRequest},
	} {
		var said *client.Error
		if !errors.As(c.err, &said) || said.Code != c.code || said.Status != c.status {
			t.Errorf("%s: %+v", what, c.err)
		}
	}
	n := 0
	for _, err := range c.WatchName(ctx, "bad") {
		if n++; n == 3 && (err == nil || !strings.Contains(err.Error(), "no name")) {
			t.Errorf("watch: %v", err)
		}
	}
	if n != 3 {
		t.Errorf("%d events, want two values and an error", n)
	}
}
