package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/cairn-network/cairn/web/api"
)

// Connect makes the peer dial the one at addr, and says who was reached.
func (c *Client) Connect(ctx context.Context, addr string) (to api.Connected, err error) {
	res, err := c.do(ctx, call{method: http.MethodPost, path: "/api/v1/swarm/connect", query: url.Values{"address": {addr}}})
	if err != nil {
		return to, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&to); err != nil {
		return to, fmt.Errorf("client: connect: %w", err)
	}
	return to, nil
}
