package node_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/node"
)

// real starts a whole peer in a home of its own, on loopback and on a real disk.
func real(t testing.TB, boot ...string) *node.Node {
	t.Helper()
	h := node.HomeAt(t.TempDir())
	cfg := node.DefaultConfig()
	cfg.Network.Profile, cfg.Network.Name, cfg.Network.Bootstrap = node.ProfileTestnet, "real", boot
	return open(t, h, cfg)
}

func open(t testing.TB, h node.Home, cfg node.Config) *node.Node {
	t.Helper()
	if err := node.Create(h, cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n, err := node.Open(ctx, h, cfg, nil)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return n
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// Five peers on real sockets and disks: what one puts another reads, and health says
// what is true.
func TestPeersOnLoopback(t *testing.T) {
	first := real(t)
	nodes := []*node.Node{first}
	for range 4 {
		nodes = append(nodes, real(t, first.Status().Addrs...))
	}
	for _, n := range nodes {
		until(t, "five peers that know each other", func() bool { return n.State() == "ready" && len(n.Peers()) == 4 })
	}
	want := blockstest.Random(5, 3<<20+17)
	t0 := time.Now()
	rc, err := nodes[1].Put(t.Context(), bytes.NewReader(want), blocks.PutOptions{Wait: blocks.WaitFull}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("put %d bytes on %d of %d others in %v", rc.Size, rc.Least, rc.Members, time.Since(t0))
	if rc.Least != 4 || rc.Members != 4 {
		t.Errorf("least %d, members %d; want 4 and 4", rc.Least, rc.Members)
	}
	f, err := nodes[3].Get(t.Context(), rc.Root.String())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	h, err := nodes[0].Health(t.Context(), rc.Root.String(), false)
	if err != nil || !h.Good() || h.Min != 4 || h.Blocks != 5 {
		t.Errorf("health %+v, %v", h, err)
	}
}

// A home has one daemon; the second is told who it is.
func TestOneDaemonAHome(t *testing.T) {
	h := node.HomeAt(t.TempDir())
	cfg := node.DefaultConfig()
	cfg.Network.Profile = node.ProfileTestnet
	open(t, h, cfg)
	_, err := node.Open(t.Context(), h, cfg, nil)
	var locked *blocks.LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Fatalf("err = %v, want locked by %d", err, os.Getpid())
	}
}
