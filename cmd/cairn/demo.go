package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

// demoPeers and demoSize are what the demonstration works with. The file is one
// block: of eight peers five hold it, so two never do.
const (
	demoPeers = 8
	demoSize  = 900 << 10 // bytes
)

func (p *program) demoCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Watch a file outlive the peer that put it",
		Long: `Watch a file outlive the peer that put it, on real processes.

Starts a network of its own, puts a file through p0, kills p0 and one of the
peers that hold it with SIGKILL, reads the file from a peer that never held it,
waits until every block has all its copies again, and stops everything.`,
		Example: `  cairn testnet demo`,
		Args:    exactly(0, "no arguments"),
		RunE:    func(c *cobra.Command, _ []string) error { return p.demo(c.Context()) },
	}
}

// demoLine is a step of the demonstration, with --json.
type demoLine struct {
	Type string  `json:"type"` // step
	At   float64 `json:"at"`   // seconds since the beginning
	Text string  `json:"text"`
}

func (p *program) demo(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "cairn-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	n := network{dir: dir, name: "demo"}
	if n.bin, err = os.Executable(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	began := time.Now()
	step := func(format string, args ...any) {
		if p.json {
			writeJSON(p.out, demoLine{"step", time.Since(began).Seconds(), fmt.Sprintf(format, args...)})
			return
		}
		fmt.Fprintf(p.out, "%6.1f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}

	defer func() { // whatever happened: no process is left
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if _, e := n.run(ctx, nil, "testnet", "down", "--name", n.name, "--purge"); e != nil {
			err = errors.Join(err, e)
		} else if err == nil {
			step("stopped everything")
		}
	}()
	if _, err := n.run(ctx, nil, "testnet", "up", "-n", fmt.Sprint(demoPeers), "--name", n.name); err != nil {
		return err
	}
	step("%d peers are ready, each a daemon of its own", demoPeers)

	file := make([]byte, demoSize)
	_, _ = rand.Read(file)
	rc, err := n.put(ctx, "p0", file, "--wait", "full")
	if err != nil {
		return err
	}
	step("put %s through p0: it is on %d other disks", humanize.IBytes(uint64(rc.Size)), rc.Least)
	step("its name is %s", rc.Root)

	holder, reader, err := n.holderAndStranger(ctx, rc)
	if err != nil {
		return err
	}
	if _, err := n.run(ctx, nil, "testnet", "kill", "--name", n.name, "p0", holder); err != nil {
		return err
	}
	step("killed p0, which put it, and %s, which held it", holder)

	got, err := n.run(ctx, nil, "cat", "--peer", reader+"@"+n.name, rc.Root.String())
	if err != nil {
		return err
	}
	if !bytes.Equal(got, file) {
		return fmt.Errorf("demo: %s gave %d bytes that are not the file: %w", reader, len(got), blocks.ErrMismatch)
	}
	step("read it from %s, which never held it: the same bytes", reader)

	var h api.Health
	if err := n.ask(ctx, &h, "health", "--wait", "--timeout", "90s", "--peer", reader+"@"+n.name, rc.Root.String()); err != nil {
		return err
	}
	step("healed: %s", h.Sentence)
	return nil
}

// network is a testnet that is driven as a person would: by the program's own
// commands. Its peers live below dir.
type network struct{ bin, dir, name string }

// run runs a command of the program and gives what it printed; what it said about
// an error becomes the error.
func (n network) run(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, n.bin, args...)
	cmd.Env = append(os.Environ(), "CAIRN_TESTNET_DIR="+n.dir)
	detach(cmd)                                                        // a Ctrl-C is told by this process, once: a second signal would kill
	cmd.Cancel = func() error { return cmd.Process.Signal(terminate) } // so that it stops what it has started
	cmd.WaitDelay = 20 * time.Second
	cmd.Stdin = stdin
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if e := cause(ctx); e != nil {
			err = e // of which the command has died
		}
		return out.Bytes(), fmt.Errorf("cairn %s: %w: %s", args[0], err, bytes.TrimSpace(said.Bytes()))
	}
	return out.Bytes(), nil
}

// ask runs a command with --json and decodes the last line of its answer.
func (n network) ask(ctx context.Context, into any, args ...string) error {
	out, err := n.run(ctx, nil, append(args, "--json")...)
	if err != nil {
		return err
	}
	return lastLine(out, into)
}

func lastLine(out []byte, into any) error {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], into); err != nil {
		return fmt.Errorf("not JSON: %.100q: %w", lines[len(lines)-1], err)
	}
	return nil
}

// put puts data through the peer of that name.
func (n network) put(ctx context.Context, through string, data []byte, flags ...string) (rc blocks.Receipt, err error) {
	args := append([]string{"put", "--json", "--peer", through + "@" + n.name, "-"}, flags...)
	out, err := n.run(ctx, bytes.NewReader(data), args...)
	if err != nil {
		return rc, err
	}
	var r api.Receipt
	if err := lastLine(out, &r); err != nil {
		return rc, err
	}
	return r.Parse()
}

// holderAndStranger names a peer that holds something of rc, and one that holds
// nothing of it; neither is p0.
func (n network) holderAndStranger(ctx context.Context, rc blocks.Receipt) (holder, stranger string, err error) {
	var h api.Health
	if err := n.ask(ctx, &h, "health", "--peer", "p0@"+n.name, rc.Root.String()); err != nil {
		return "", "", err
	}
	for i := 1; i < demoPeers; i++ {
		name := fmt.Sprintf("p%d", i)
		var id api.ID
		if err := n.ask(ctx, &id, "id", "--peer", name+"@"+n.name); err != nil {
			return "", "", err
		}
		if id.Blocks == 0 {
			stranger = name
		}
		for _, p := range h.Holders {
			if p.String() == id.ID {
				holder = name
			}
		}
	}
	if holder == "" || stranger == "" {
		return "", "", fmt.Errorf("demo: %d of the %d peers hold something of the file: none is left that never held it", len(h.Holders), demoPeers)
	}
	return holder, stranger, nil
}
