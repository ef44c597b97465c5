package main

import (
	"context"

	"github.com/cairn-network/cairn/web/api/client"
)

// talk calls f with the daemon to talk to, and a context that lives as long as w.moved is
// called in time.
func (p *program) talk(ctx context.Context, f func(ctx context.Context, w *watch, c *client.Client) error) error {
	c, err := p.client()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, w, done := p.patience(ctx)
	defer done()
	return f(ctx, w, c)
}
