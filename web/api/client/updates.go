package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"

	"github.com/cairn-network/cairn/web/api"
)

// Updates yields announcements as the peer hears them, until ctx is done. An
// error is the last thing it yields; a daemon that goes away is one.
func (c *Client) Updates(ctx context.Context) iter.Seq2[api.Update, error] {
	return func(yield func(api.Update, error) bool) {
		err := c.listen(ctx, func(u api.Update) bool { return yield(u, nil) })
		if err != nil && ctx.Err() == nil {
			yield(api.Update{}, err)
		}
	}
}

// listen calls take with each update, until it answers false.
func (c *Client) listen(ctx context.Context, take func(api.Update) bool) error {
	header := http.Header{"Accept": {"application/x-ndjson"}}
	res, err := c.do(ctx, call{method: http.MethodGet, path: "/api/v1/updates", header: header, idle: c.updateIdle})
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
			api.UpdateLine
			Code, Message, Hint string
		}
		switch err := lines.Decode(&line); {
		case err == io.EOF: //nolint:errorlint // Decode says EOF itself
			return fmt.Errorf("client: updates: the daemon went away: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return fmt.Errorf("client: updates: %w", err)
		case line.Type == api.LineError:
			return &Error{Status: http.StatusOK, Code: line.Code, Title: line.Code, Detail: line.Message, Hint: line.Hint}
		case !take(line.Update):
			return nil
		}
	}
}
