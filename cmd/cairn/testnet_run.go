package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
)

// peerStatus is a line of testnet status.
type peerStatus struct {
	Name    string `json:"name"`
	PID     int    `json:"pid,omitempty"`
	State   string `json:"state"` // up: starting, alone, warming, ready; silent; paused; killed; down
	ID      string `json:"id"`
	API     string `json:"api"`
	Gateway string `json:"gateway"`
	Peers   int    `json:"peers"`  // connected
	Blocks  int64  `json:"blocks"` // held
	Home    string `json:"home"`

	Link *api.Link `json:"link,omitempty"` // its line, where it was made slow
}

func (p *program) testnetStatus(ctx context.Context, t *testnet, _ []string) error {
	out := make([]peerStatus, len(t.Peers))
	var wait sync.WaitGroup
	for i, m := range t.Peers {
		wait.Go(func() { out[i] = t.look(ctx, m) })
	}
	wait.Wait()
	if p.json {
		writeJSON(p.out, struct {
			Name    string       `json:"name"`
			Network string       `json:"network"`
			Dir     string       `json:"dir"`
			Peers   []peerStatus `json:"peers"`
		}{t.Name, t.Network, t.Dir, out})
		return nil
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tPID\tSTATE\tPEERS\tBLOCKS\tLINE\tPEER ID\tAPI\tGATEWAY")
	for _, s := range out {
		pid := "-"
		if s.PID != 0 {
			pid = fmt.Sprint(s.PID)
		}
		line := "-"
		if s.Link != nil {
			line = lineWords(*s.Link)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", s.Name, pid, s.State, s.Peers, s.Blocks, line, s.ID, s.API, s.Gateway)
	}
	return w.Flush()
}

// look asks the peer m how it is.
func (t *testnet) look(ctx context.Context, m member) peerStatus {
	s := peerStatus{Name: m.Name, State: "killed", ID: m.ID, API: m.API, Gateway: m.Gateway, Home: m.Home}
	if t.Down {
		s.State = "down"
	}
	if !m.alive() {
		return s
	}
	s.PID, s.State = m.PID, "silent"
	if m.paused() {
		s.State = "paused"
		return s
	}
	c, err := clientOf(node.HomeAt(m.Home), m.API)
	if err != nil {
		return s
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if id, err := c.ID(ctx); err == nil {
		s.State, s.Peers, s.Blocks = id.State, id.Peers, id.Blocks
	}
	if l, err := c.Link(ctx); err == nil && l.Slow() {
		s.Link = &l
	}
	return s
}

// done tells of something that was done to a peer.
func (p *program) done(sign, verb string, m *member) {
	if p.json {
		writeJSON(p.out, map[string]any{"type": verb, "name": m.Name, "pid": m.PID})
		return
	}
	fmt.Fprintf(p.out, "%s %s %s (pid %d)\n", sign, m.Name, verb, m.PID)
}

func (p *program) testnetKill(_ context.Context, t *testnet, names []string) error {
	peers, err := t.named(names, true)
	if err != nil {
		return err
	}
	for _, m := range peers {
		if err := m.kill(); err != nil {
			return err
		}
		p.done("✗", "killed", m)
	}
	return nil
}

func (p *program) testnetStart(ctx context.Context, t *testnet, names []string) error {
	peers, err := t.named(names, false)
	if err != nil {
		return err
	}
	limit := 30 * time.Second
	t.Down = false
	quiet := *p
	quiet.json = true // launch says nothing
	if err := quiet.launch(ctx, t, peers, limit); err != nil {
		var started []member
		for _, m := range peers {
			started = append(started, *m)
		}
		return errors.Join(err, stopAll(context.WithoutCancel(ctx), started))
	}
	for _, m := range peers {
		p.done("✓", "started", m)
	}
	return nil
}

// named gives the peers of the given names, which all live or all do not.
func (t *testnet) named(names []string, alive bool) ([]*member, error) {
	var out []*member
	for _, name := range names {
		m, err := t.peer(name)
		switch {
		case err != nil:
			return nil, err
		case alive && !m.alive():
			return nil, &peerDownError{m.Name, t.Name}
		case !alive && m.alive() && !m.paused():
			return nil, fmt.Errorf("%s of testnet %s is running already, pid %d", m.Name, t.Name, m.PID)
		}
		for _, before := range out {
			if before == m {
				return nil, usagef("testnet: %s is named twice", name)
			}
		}
		out = append(out, m)
	}
	return out, nil
}

func (p *program) testnetDown(ctx context.Context, t *testnet, purge bool) error {
	stopped := len(t.live())
	if err := stopAll(ctx, t.Peers); err != nil {
		return err
	}
	t.Down = true
	for i := range t.Peers {
		t.Peers[i].process = process{}
	}
	if err := t.save(); err != nil {
		return err
	}
	if purge { // its state.json says that the directory is ours
		if err := os.RemoveAll(t.Dir); err != nil {
			return fmt.Errorf("testnet: purge: %w", err)
		}
	}
	if p.json {
		writeJSON(p.out, map[string]any{"type": "down", "name": t.Name, "stopped": stopped, "purged": purge})
		return nil
	}
	what := "its data is in " + t.Dir
	if purge {
		what = "its data is removed"
	}
	fmt.Fprintf(p.out, "testnet %s is down: %d peers stopped; %s\n", t.Name, stopped, what)
	return nil
}
