package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/cairn-network/cairn/node"
)

// start runs m's daemon as a process that outlives this one, or lets the one that
// is paused go on.
func (m *member) start() error {
	if m.paused() {
		return m.hold(false)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(m.logFile(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c := exec.Command(self)
	c.Args = []string{"cairn", "daemon", "--home", m.Home}
	c.Dir = m.Home
	c.Stdout, c.Stderr = log, log
	for _, v := range os.Environ() { // what is meant for this command is not meant for the daemon
		if !strings.HasPrefix(v, "CAIRN_") {
			c.Env = append(c.Env, v)
		}
	}
	detach(c)
	if err := c.Start(); err != nil {
		return err
	}
	if m.process, err = identify(c.Process.Pid); err != nil {
		m.process = process{}
		return errors.Join(fmt.Errorf("it ended at once: %w", err), ignoreDone(c.Process.Kill()))
	}
	return c.Process.Release()
}

func ignoreDone(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// errEnded says that a daemon ended while it was waited for.
var errEnded = errors.New("its daemon ended")

// ready waits until m can be used and is connected to as many as peers others.
func (m *member) ready(ctx context.Context, peers int) error {
	c, err := clientOf(node.HomeAt(m.Home), m.API)
	if err != nil {
		return err
	}
	defer c.Close()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if !m.alive() {
			return errEnded
		}
		if c.Ready(ctx) == nil {
			id, err := c.ID(ctx)
			if err == nil && id.ID != m.ID {
				return fmt.Errorf("another daemon answers at %s", m.API)
			}
			if err == nil && id.Peers >= peers && (peers == 0 || id.State == "ready") {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// lastWords is the end of m's log, to be put behind an error.
func (m *member) lastWords() string {
	f, err := os.Open(m.logFile())
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > 2000 {
		_, _ = f.Seek(-2000, io.SeekEnd) // at worst the beginning is shown
	}
	data, _ := io.ReadAll(io.LimitReader(f, 2000)) // what there is
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	lines = lines[max(0, len(lines)-5):]
	return "; its log " + m.logFile() + " ends: " + string(bytes.Join(lines, []byte(" | ")))
}

// stopAll asks peers to stop, and kills those that do not within 10 s. When it
// answers nil none of them runs.
func stopAll(ctx context.Context, peers []member) error {
	var wait sync.WaitGroup
	errs := make([]error, len(peers))
	for i, m := range peers {
		wait.Go(func() { errs[i] = m.stop(ctx) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (m member) stop(ctx context.Context) error {
	if err := m.signal(terminate); err != nil {
		return fmt.Errorf("testnet: stop %s: %w", m.Name, err)
	}
	if m.paused() { // it hears of it when it goes on
		if err := m.signal(resume); err != nil {
			return fmt.Errorf("testnet: stop %s: %w", m.Name, err)
		}
	}
	if m.gone(ctx, 10*time.Second) {
		return nil
	}
	return m.kill()
}

// kill ends m's daemon as a power cut would.
func (m member) kill() error {
	if err := m.signal(os.Kill); err != nil {
		return fmt.Errorf("testnet: kill %s: %w", m.Name, err)
	}
	if !m.gone(context.Background(), 5*time.Second) {
		return fmt.Errorf("testnet: %s, pid %d, does not die", m.Name, m.PID)
	}
	return nil
}
