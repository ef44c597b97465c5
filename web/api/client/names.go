package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
)

// Keys gives what the peer publishes names with.
func (c *Client) Keys(ctx context.Context) (all []blocks.KeyInfo, err error) {
	err = c.ask(ctx, "/api/v1/keys", nil, &all)
	return all, err
}

// MakeKey makes a key at the peer and calls it name.
func (c *Client) MakeKey(ctx context.Context, name string) (k blocks.KeyInfo, err error) {
	err = c.change(ctx, http.MethodPost, "/api/v1/keys", url.Values{"key": {name}}, nil, &k)
	return k, err
}

// RemoveKey makes the peer forget a key for good.
func (c *Client) RemoveKey(ctx context.Context, name string) (k blocks.KeyInfo, err error) {
	err = c.change(ctx, http.MethodDelete, "/api/v1/keys", url.Values{"key": {name}}, nil, &k)
	return k, err
}

// TakeKey brings a key, as PEM or as libp2p writes it, to the peer and calls it name.
func (c *Client) TakeKey(ctx context.Context, name string, data []byte) (k blocks.KeyInfo, err error) {
	err = c.change(ctx, http.MethodPost, "/api/v1/keys/import", url.Values{"key": {name}}, data, &k)
	return k, err
}

// GiveKey gives a key of the peer as PEM.
func (c *Client) GiveKey(ctx context.Context, name string) ([]byte, error) {
	res, err := c.do(ctx, call{method: http.MethodGet, path: "/api/v1/keys/export", query: url.Values{"key": {name}}})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if kind := res.Header.Get("Content-Type"); kind != "application/x-pem-file" {
		return nil, stranger(res.StatusCode, "answers "+kind)
	}
	return io.ReadAll(io.LimitReader(res.Body, 64<<10))
}

// PublishName makes the name of key, "" being the peer's own, stand for path.
func (c *Client) PublishName(ctx context.Context, key, path string, o blocks.NameOptions) (done blocks.Published, err error) {
	q := url.Values{"path": {path}}
	if key != "" {
		q.Set("key", key)
	}
	if o.Lifetime != 0 {
		q.Set("lifetime", o.Lifetime.String())
	}
	if o.TTL != 0 {
		q.Set("ttl", o.TTL.String())
	}
	err = c.change(ctx, http.MethodPost, "/api/v1/names", q, nil, &done)
	return done, err
}

// ResolveName asks what a name stands for.
func (c *Client) ResolveName(ctx context.Context, name string, recursive bool) (r blocks.Resolved, err error) {
	err = c.ask(ctx, "/api/v1/names/resolve", url.Values{"name": {name}, "recursive": {strconv.FormatBool(recursive)}}, &r)
	return r, err
}

// ImportName brings a record of name that somebody else has signed to the peer.
func (c *Client) ImportName(ctx context.Context, name string, record []byte) (done blocks.Published, err error) {
	err = c.change(ctx, http.MethodPost, "/api/v1/names/import", url.Values{"name": {name}}, record, &done)
	return done, err
}

func (c *Client) change(ctx context.Context, method, path string, q url.Values, body []byte, into any) error {
	res, err := c.do(ctx, call{method: method, path: path, query: q, body: bytes.NewReader(body)})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("client: %s: %w", path, err)
	}
	return nil
}

// WatchName yields what a name stands for, and again whenever that changed, until ctx is
// done. An error is the last thing it yields; a daemon that goes away is one.
func (c *Client) WatchName(ctx context.Context, name string) iter.Seq2[blocks.Resolved, error] {
	return func(yield func(blocks.Resolved, error) bool) {
		err := c.watchName(ctx, name, func(r blocks.Resolved) bool { return yield(r, nil) })
		if err != nil && ctx.Err() == nil {
			yield(blocks.Resolved{}, err)
		}
	}
}

func (c *Client) watchName(ctx context.Context, name string, take func(blocks.Resolved) bool) error {
	header := http.Header{"Accept": {"application/x-ndjson"}}
	res, err := c.do(ctx, call{method: http.MethodGet, path: "/api/v1/names/watch", query: url.Values{"name": {name}}, header: header, idle: c.updateIdle})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if kind := res.Header.Get("Content-Type"); kind != "application/x-ndjson" {
		return stranger(res.StatusCode, "answers "+kind)
	}
	lines := json.NewDecoder(res.Body)
	for {
		var line struct {
			api.NameLine
			Code, Message, Hint string
		}
		switch err := lines.Decode(&line); {
		case err == io.EOF: //nolint:errorlint // Decode says EOF itself
			return fmt.Errorf("client: watch: the daemon went away: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return fmt.Errorf("client: watch: %w", err)
		case line.Type == api.LineError:
			return &Error{Status: http.StatusOK, Code: line.Code, Title: line.Code, Detail: line.Message, Hint: line.Hint}
		case line.Type == api.LineName && !take(line.Resolved):
			return nil
		}
	}
}
