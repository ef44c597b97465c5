package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/cairn-network/cairn/web/api"
)

// PageURL asks for an address that opens the peer's page once, signed in. It
// works within [api.CodeLife], and only where this client's own address does.
func (c *Client) PageURL(ctx context.Context) (string, error) {
	res, err := c.do(ctx, call{method: http.MethodPost, path: "/api/v1/signin/code"})
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var code api.SigninCode
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&code); err != nil {
		return "", fmt.Errorf("client: sign-in: %w", err)
	}
	return c.base + code.Path, nil
}
