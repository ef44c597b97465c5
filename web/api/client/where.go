package client

import (
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

// Where asks what those answered who should have the block that path names.
func (c *Client) Where(ctx context.Context, path string) (blocks.Where, error) {
	var w api.Where
	if err := c.ask(ctx, "/api/v1/where", url.Values{"path": {path}}, &w); err != nil {
		return blocks.Where{}, err
	}
	return w.Parse()
}

// Why asks why what is under path is short of copies, or cannot be read.
func (c *Client) Why(ctx context.Context, path string) (blocks.Why, error) {
	var w api.Why
	if err := c.ask(ctx, "/api/v1/why", url.Values{"path": {path}}, &w); err != nil {
		return blocks.Why{}, err
	}
	return w.Parse()
}

// Restore makes the peer give missing copies of everything under path now.
func (c *Client) Restore(ctx context.Context, path string, tell func(blocks.Done)) (blocks.Restored, error) {
	var last api.RestoredLine
	if err := c.task(ctx, "/api/v1/repair", url.Values{"path": {path}}, tell, &last); err != nil {
		return blocks.Restored{}, err
	}
	r, err := api.Pin{CID: last.CID}.Parse()
	last.Root = r.Root
	return last.Restored, err
}

// Watch yields the health of everything under path, and again whenever it changed, until
// ctx is done. A look that failed is an error, after which more may come; a daemon that
// goes away is the last one.
func (c *Client) Watch(ctx context.Context, path string, detail bool) iter.Seq2[blocks.Health, error] {
	return func(yield func(blocks.Health, error) bool) {
		if err := c.watch(ctx, path, detail, yield); err != nil && ctx.Err() == nil {
			yield(blocks.Health{}, err)
		}
	}
}

func (c *Client) watch(ctx context.Context, path string, detail bool, yield func(blocks.Health, error) bool) error {
	q := url.Values{"path": {path}, "detail": {strconv.FormatBool(detail)}}
	res, err := c.do(ctx, call{method: http.MethodGet, path: "/api/v1/health/watch", query: q, header: http.Header{"Accept": {"application/x-ndjson"}}, idle: c.updateIdle})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if kind := res.Header.Get("Content-Type"); kind != "application/x-ndjson" {
		return stranger(res.StatusCode, "answers "+kind)
	}
	lines := json.NewDecoder(res.Body)
	for {
		var line json.RawMessage
		var head api.ErrorLine
		err := lines.Decode(&line)
		if err == io.EOF { //nolint:errorlint // Decode says EOF itself
			return fmt.Errorf("client: health: the daemon went away: %w", io.ErrUnexpectedEOF)
		}
		if err == nil {
			err = json.Unmarshal(line, &head)
		}
		if err != nil {
			return fmt.Errorf("client: health: %w", err)
		}
		var h blocks.Health
		switch head.Type {
		case api.LineHealth:
			var now api.HealthLine
			if err := json.Unmarshal(line, &now); err != nil {
				return fmt.Errorf("client: health: %w", err)
			}
			h, err = now.Parse()
		case api.LineError:
			err = &Error{Status: http.StatusOK, Code: head.Code, Title: head.Code, Detail: head.Message, Hint: head.Hint}
		default:
			continue
		}
		if !yield(h, err) {
			return nil
		}
	}
}
