package client

import (
	"context"

	"github.com/cairn-network/cairn/web/api"
)

// Jobs gives what is put at the peer now, by anybody, and what was put there lately.
func (c *Client) Jobs(ctx context.Context) ([]api.Job, error) {
	var all []api.Job
	err := c.ask(ctx, "/api/v1/jobs", nil, &all)
	return all, err
}
