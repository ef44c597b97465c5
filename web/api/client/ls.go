package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
)

// List yields the entries of the directory that path names, as the peer finds them.
// Names are a stranger's: who makes files of them calls [blocks.CheckName].
func (c *Client) List(ctx context.Context, path string) iter.Seq2[blocks.Entry, error] {
	return listing(ctx, c, "/api/v1/ls", path, api.EntryLine.Parse)
}

// Leaves yields the blocks of the file that path names, in their order.
func (c *Client) Leaves(ctx context.Context, path string) iter.Seq2[blocks.Leaf, error] {
	return listing(ctx, c, "/api/v1/leaves", path, api.LeafLine.Parse)
}

// listing yields what route answers of path, parsed line by line.
func listing[T, L any](ctx context.Context, c *Client, route, path string, parse func(L) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		res, err := c.do(ctx, call{method: http.MethodGet, path: route, query: url.Values{"path": {path}}})
		if err != nil {
			yield(none, err)
			return
		}
		defer res.Body.Close()
		if kind := res.Header.Get("Content-Type"); kind != "application/x-ndjson" {
			yield(none, stranger(res.StatusCode, "answers "+kind))
			return
		}
		for lines := json.NewDecoder(res.Body); ; {
			var raw json.RawMessage
			err := lines.Decode(&raw)
			if err == io.EOF { //nolint:errorlint // Decode says EOF itself
				return
			}
			var end api.ErrorLine
			var line L
			if err == nil {
				err = errors.Join(json.Unmarshal(raw, &end), json.Unmarshal(raw, &line))
			}
			if err != nil {
				err = fmt.Errorf("client: list: %w", err)
			} else if end.Type == api.LineError {
				err = &Error{Status: http.StatusOK, Code: end.Code, Title: end.Code, Detail: end.Message, Hint: end.Hint}
			}
			var e T
			if err == nil {
				e, err = parse(line)
			}
			if err != nil {
				yield(none, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Stat says what path names.
func (c *Client) Stat(ctx context.Context, path string) (blocks.Stat, error) {
	var s api.Stat
	if err := c.ask(ctx, "/api/v1/stat", url.Values{"path": {path}}, &s); err != nil {
		return blocks.Stat{}, err
	}
	return s.Parse()
}

// Pins gives the roots that are wanted at the peer.
func (c *Client) Pins(ctx context.Context) ([]blocks.Pin, error) {
	var all []api.Pin
	if err := c.ask(ctx, "/api/v1/pins", nil, &all); err != nil {
		return nil, err
	}
	out := make([]blocks.Pin, len(all))
	for i, p := range all {
		var err error
		if out[i], err = p.Parse(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Pin has the peer fetch and keep everything under path; name may be empty. tell, if
// not nil, hears how many blocks are known of and how many are there.
func (c *Client) Pin(ctx context.Context, path, name string, tell func(blocks.Progress)) (blocks.Pin, error) {
	last, err := c.pin(ctx, url.Values{"path": {path}}, name, tell)
	if err != nil {
		return blocks.Pin{}, err
	}
	return last.Parse()
}

// PinLeased is Pin, and asks others to keep it too, under a lease of the peer's own.
func (c *Client) PinLeased(ctx context.Context, path, name string, o blocks.LeaseOptions, tell func(blocks.Progress)) (blocks.Pin, blocks.LeaseInfo, error) {
	q := url.Values{"path": {path}, "lease": {"true"}}
	setLease(q, o)
	last, err := c.pin(ctx, q, name, tell)
	if err != nil {
		return blocks.Pin{}, blocks.LeaseInfo{}, err
	}
	pin, err := last.Parse()
	if err != nil || last.Granted == nil {
		return pin, blocks.LeaseInfo{}, err
	}
	l, err := last.Granted.Parse()
	return pin, l, err
}

func (c *Client) pin(ctx context.Context, q url.Values, name string, tell func(blocks.Progress)) (last api.PinLine, err error) {
	if name != "" {
		q.Set("name", name)
	}
	res, err := c.do(ctx, call{method: http.MethodPost, path: "/api/v1/pins", query: q})
	if err != nil {
		return last, err
	}
	defer res.Body.Close()
	return last, follow(res, tell, &last)
}

// Unpin forgets the pin of path at the peer, and gives it.
func (c *Client) Unpin(ctx context.Context, path string) (blocks.Pin, error) {
	res, err := c.do(ctx, call{method: http.MethodDelete, path: "/api/v1/pins", query: url.Values{"path": {path}}})
	if err != nil {
		return blocks.Pin{}, err
	}
	defer res.Body.Close()
	var p api.Pin
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&p); err != nil {
		return blocks.Pin{}, fmt.Errorf("client: unpin: %w", err)
	}
	return p.Parse()
}
