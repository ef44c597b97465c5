package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/host"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/gofrs/flock"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// How long doctor waits: an ill machine is slow to answer.
const (
	askTime  = 5 * time.Second
	dialTime = 3 * time.Second
	watching = 100 * time.Millisecond // of the clock
)

// examine gathers facts. What cannot be known is a fact too, so it has no error.
func (p *program) examine(ctx context.Context, home node.Home) facts {
	f := facts{home: home, exists: home.Exists(), homeErr: home.Check()}
	f.layout.has, f.layout.writes = home.Layout()
	if f.exists {
		_, f.keyErr = node.LoadIdentity(home.KeyFile())
	}
	f.config, f.confErr = node.LoadConfig(home.Config)
	f.modes, f.modeErr = modes(home)
	f.daemon, f.stale, f.daemonErr = ask(ctx, home)
	if f.daemon == nil {
		f.holder = holder(home.Blocks())
		if f.confErr == nil && f.holder == 0 {
			f.taken = takenBy(f.config)
		}
	}
	if f.daemon != nil {
		f.kept = askKept(ctx, home)
	}
	f.free, f.freeErr = freeSpace(home.Data)
	f.clock = readClock(ctx, home)
	if f.confErr == nil {
		f.bootstrap = dialAll(ctx, f.config.Network.Bootstrap)
	}
	return f
}

// pulse asks the daemon of home whether it answers.
func (p *program) pulse(ctx context.Context, home node.Home) []finding {
	id, _, err := ask(ctx, home)
	found := well("answers")
	if id == nil && err == nil {
		err = &noDaemonError{"none has left its address in " + home.APIAddrFile()}
	}
	if err != nil {
		found = ill("cairn doctor", "%s", err)
	}
	found[0].Check = "daemon"
	return found
}

// ask asks the daemon of home who it is; stale says that one was killed.
func ask(ctx context.Context, home node.Home) (id *api.ID, stale bool, err error) {
	base, err := readLine(home.APIAddrFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if !answers(base) {
		return nil, true, nil
	}
	c, err := clientOf(home, base)
	if err != nil {
		return nil, false, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	got, err := c.ID(ctx)
	if err != nil {
		return nil, false, err
	}
	return &got, false, nil
}

// modes looks at who may read what only the owner should.
func modes(home node.Home) ([]mode, error) {
	if runtime.GOOS == "windows" {
		return nil, errors.New("not looked at: this system keeps them in another way")
	}
	var all []mode
	for _, f := range []struct {
		path  string
		least fs.FileMode // that the owner needs
	}{
		{home.Data, 0o700}, {home.State, 0o700},
		{home.KeyFile(), 0o400}, {home.TokenFile(), 0o400}, {home.Config, 0o400},
	} {
		info, err := os.Stat(f.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		is := info.Mode().Perm()
		others := fs.FileMode(0o077)
		if f.path == home.Config {
			others = 0o022 // it is no secret, but not for others to write
		}
		want := "600"
		if info.IsDir() {
			want = "700"
		}
		all = append(all, mode{f.path, fmt.Sprintf("%04o", is), want, is&others != 0 || is&f.least != f.least})
	}
	return all, nil
}

// holder is who has the block store in dir: a PID, -1 for one that is not known,
// or 0. It holds the lock for no longer than it takes to see that it could.
func holder(dir string) int {
	file := filepath.Join(dir, "lock")
	if _, err := os.Stat(file); err != nil {
		return 0
	}
	l := flock.New(file)
	ok, err := l.TryRLock()
	if ok {
		_ = l.Unlock() // closing it unlocks as well
		return 0
	}
	text, readErr := os.ReadFile(file)
	pid, parseErr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || readErr != nil || parseErr != nil {
		return -1
	}
	return pid
}

// takenBy tries what a daemon would listen on.
func takenBy(c node.Config) (all []taken) {
	faces := []taken{{"API", c.API.Listen, "api.listen"}}
	if c.Gateway.Enabled {
		faces = append(faces, taken{"gateway", c.Gateway.Listen, "gateway.listen"})
	}
	for _, t := range faces {
		l, err := net.Listen("tcp", t.addr)
		if err != nil {
			all = append(all, t)
			continue
		}
		_ = l.Close() // it was only tried
	}
	for _, addr := range c.ListenAddrs() {
		if host.Free([]string{addr}) != nil {
			all = append(all, taken{"peer", addr, "network.listen"})
		}
	}
	return all
}

// freeSpace is that of the disk which dir is on, or will be.
func freeSpace(dir string) (uint64, error) {
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			u, err := vfs.Default.GetDiskUsage(dir)
			return u.AvailBytes, err
		}
		dir = filepath.Dir(dir)
	}
}

// readClock compares the clock with what else keeps time on this machine.
// It watches it for a moment, or until ctx is done.
func readClock(ctx context.Context, home node.Home) clock {
	began := time.Now()
	c := clock{now: began, released: released()}
	for _, file := range []string{home.KeyFile(), home.TokenFile(), home.Config, home.VersionFile()} {
		if info, err := os.Stat(file); err == nil && info.ModTime().After(c.latest) {
			c.latest = info.ModTime()
		}
	}
	c.file, c.fileErr = fileClock(home)
	watched := time.NewTimer(watching)
	defer watched.Stop()
	select {
	case <-watched.C:
	case <-ctx.Done():
	}
	end := time.Now()
	c.steady, c.wall = end.Sub(began), end.Round(0).Sub(began.Round(0))
	return c
}

// fileClock is how far the time of a file that is made now is from now.
func fileClock(home node.Home) (d time.Duration, err error) {
	dir := home.State
	if _, err := os.Stat(dir); err != nil {
		dir = os.TempDir()
	}
	f, err := os.CreateTemp(dir, ".cairn-clock-*")
	if err != nil {
		return 0, err
	}
	defer func() { err = cmp.Or(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.WriteString("?"); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return time.Until(info.ModTime()), nil
}

// released is a time before which this program cannot run: of its commit, or of
// the first that had a doctor.
func released() time.Time {
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return first
	}
	for _, s := range info.Settings {
		if at, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil && at.After(first) {
			return at
		}
	}
	return first
}

// dialAll tries each of the bootstrap peers at once.
func dialAll(ctx context.Context, addrs []string) []reach {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	all := make([]reach, len(addrs))
	var wg sync.WaitGroup
	for i, addr := range addrs {
		wg.Go(func() { all[i] = dial(ctx, addr) }) // ends with ctx
	}
	wg.Wait()
	return all
}

func dial(ctx context.Context, addr string) reach {
	r := reach{addr: addr}
	a, err := ma.NewMultiaddr(addr)
	if err != nil {
		r.err = err
		return r
	}
	network, where, err := manet.DialArgs(a)
	if err != nil || !strings.HasPrefix(network, "tcp") {
		r.skip = true // QUIC answers its own protocol only
		return r
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, where)
	if err != nil {
		r.err = err
		return r
	}
	_ = c.Close() // nothing was said on it
	return r
}

// loopbackAddr reports whether an address to listen on is for this machine only.
func loopbackAddr(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && loopback(host)
}
