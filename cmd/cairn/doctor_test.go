package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
	"github.com/gofrs/flock"
	"github.com/ipfs/go-cid"
)

// healthy is what doctor knows of a peer that lacks nothing.
func healthy() facts {
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	pin := blocks.Pin{Root: blocks.New(cid.Raw, []byte("x")).Cid(), Name: "photos", Time: now.Add(-time.Hour), Lease: blocks.LeaseID{1}}
	fresh := blocks.Pin{Root: blocks.New(cid.Raw, []byte("y")).Cid(), Time: now.Add(-time.Second), Lease: blocks.LeaseID{2}, Pending: true}
	return facts{
		home: node.HomeAt("/home"), exists: true, config: node.DefaultConfig(), free: 100 << 30,
		layout: layout{1, 1},
		kept: keeping{
			pins:   []blocks.Pin{pin, fresh, {Root: pin.Root, Time: now}}, // the last is only pinned
			health: map[string]blocks.Health{pin.Root.String(): {Target: 5, Members: 7, Min: 5}},
		},
		modes:  []mode{{path: "/home/data/identity.key", is: "0600", want: "600"}},
		daemon: &api.ID{ID: "me", API: "http://127.0.0.1:1", State: "ready", Version: node.Version, Peers: 3},
		clock:  clock{now: now, released: now.AddDate(-1, 0, 0), latest: now.Add(-time.Hour), wall: watching, steady: watching},
		bootstrap: []reach{
			{addr: "/ip4/192.0.2.1/tcp/1"}, {addr: "/ip4/192.0.2.2/tcp/1", err: errors.New("no")}, {addr: "/ip4/192.0.2.3/udp/1/quic-v1", skip: true},
		},
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	for _, f := range diagnose(healthy()) {
		if f.Status != fine {
			t.Errorf("healthy, and yet %+v", f)
		}
	}
	alone := func(f *facts) { f.daemon = nil }
	stranger := func(f *facts, reach string, addrs ...string) {
		f.daemon.Profile, f.daemon.Reachable, f.daemon.Addresses = node.ProfilePublic, reach, addrs
	}
	root := healthy().kept.pins[0].Root.String()
	found := map[string]bool{}
	for _, c := range []struct {
		name  string
		ail   func(*facts)
		check string
		want  string // in its text
	}{
		{"a newer home", func(f *facts) { f.homeErr = &node.HomeError{Dir: "/home", Reason: "made by a newer cairn"} }, "version", "newer cairn"},
		{"a daemon of another version", func(f *facts) { f.daemon.Version = "0.0.9" }, "version", "the daemon is cairn 0.0.9"},
		{"a key that others can read", func(f *facts) { f.modes[0].bad, f.modes[0].is = true, "0644" }, "permissions", "identity.key is open to others or closed to its owner: mode 0644"},
		{"a key that is none", func(f *facts) { f.keyErr = errors.New("identity.key holds no key") }, "home", "identity.key holds no key"},
		{"a bad configuration", func(f *facts) { f.confErr = &node.ConfigError{File: "c", Line: 3, Reason: "no"} }, "config", "c line 3: no"},
		{"an open API", func(f *facts) { f.config.API.Listen = "0.0.0.0:5101" }, "config", "the API listens on 0.0.0.0:5101"},
		{"a locked home", func(f *facts) { alone(f); f.holder = 77 }, "lock", "pid 77"},
		{"a silent daemon", func(f *facts) { alone(f); f.daemonErr = errors.New("hm") }, "daemon", "does not answer: hm"},
		{"a port in use", func(f *facts) { alone(f); f.taken = []taken{{"API", "127.0.0.1:5101", "api.listen"}} }, "ports", "API: 127.0.0.1:5101 is in use"},
		{"a full disk", func(f *facts) { f.free = 5 << 20 }, "disk", "5.0 MiB is free"},
		{"a clock of last year", func(f *facts) { f.clock.now = f.clock.released.Add(-time.Hour) }, "clock", "before this program was made"},
		{"a clock that was set back", func(f *facts) { f.clock.latest = f.clock.now.Add(time.Hour) }, "clock", "written 1h0m0s from now"},
		{"a file server with its own clock", func(f *facts) { f.clock.file = -time.Minute }, "clock", "-1m0s off"},
		{"a clock that jumps", func(f *facts) { f.clock.wall += time.Second }, "clock", "jumped by 1s"},
		{"no peers", func(f *facts) { f.daemon.Peers = 0 }, "peers", "no other peer is connected"},
		{"an old home", func(f *facts) { f.layout = layout{1, 2} }, "version", "of layout 1, and this program writes 2"},
		{"others that cannot call it", func(f *facts) { stranger(f, "no", "/ip4/8.8.8.8/tcp/4101") }, "reachable", "could not: /ip4/8.8.8.8/tcp/4101"},
		{"a NAT", func(f *facts) { stranger(f, "unknown", "/ip4/192.168.1.2/tcp/4101", "/ip6/::1/tcp/4101") }, "reachable", "behind a NAT"},
		{"a put that stays short", func(f *facts) { f.kept.pins[0].Pending = true }, "copies", root + " (photos) has not all its copies since 2027-01-02T02:04:05Z"},
		{"copies that were lost", func(f *facts) { f.kept.health[root] = blocks.Health{Target: 5, Members: 7, Min: 2, AtRisk: 1} }, "copies", root + " (photos) has 2 of 5 copies"},
		{"bootstrap that is away", func(f *facts) { f.bootstrap = f.bootstrap[1:2] }, "bootstrap", "none of 1 answers: /ip4/192.0.2.2/tcp/1"},
	} {
		f := healthy()
		c.ail(&f)
		var ill []finding
		for _, x := range diagnose(f) {
			if x.Status == problem {
				ill = append(ill, x)
			}
		}
		if len(ill) != 1 || ill[0].Check != c.check || !strings.Contains(ill[0].Text, c.want) || ill[0].Fix == "" {
			t.Errorf("%s: got %+v, want %s: %s, with a fix", c.name, ill, c.check, c.want)
			continue
		}
		found[c.check] = true
		var out bytes.Buffer
		if err := (&program{out: &out}).tell(ill); err == nil || !strings.Contains(out.String(), "→ "+ill[0].Fix) {
			t.Errorf("%s: told as %q, %v", c.name, out.String(), err)
		}
	}
	for _, c := range checks {
		if !found[c.name] {
			t.Errorf("no test finds a problem of %s", c.name)
		}
	}
}

func TestDoctorSaysWhatItDidNotCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		ail  func(*facts)
		want string
	}{
		{"permissions", func(f *facts) { f.modeErr = errors.New("another system") }, "another system"},
		{"ports", func(f *facts) { f.daemon, f.confErr = nil, errors.New("x") }, "not known until"},
		{"disk", func(f *facts) { f.freeErr = errors.New("x") }, "free space: x"},
		{"peers", func(f *facts) { f.daemon = nil }, "no daemon to ask"},
		{"reachable", func(f *facts) { f.daemon = nil }, "no daemon to ask"},
		{"reachable", func(f *facts) { f.daemon.Profile, f.daemon.Started = node.ProfilePublic, f.clock.now }, "just started"},
		{"reachable", func(f *facts) {
			f.daemon.Profile, f.daemon.Addresses = node.ProfilePublic, []string{"/ip4/8.8.8.8/tcp/1"}
		}, "nobody has tried yet to call /ip4/8.8.8.8/tcp/1"},
		{"copies", func(f *facts) { f.daemon = nil }, "no daemon to ask"},
		{"copies", func(f *facts) { f.kept.err = errors.New("x") }, "not known: x"},
		{"copies", func(f *facts) { clear(f.kept.health) }, "the holders of 1 of 1 file did not answer"},
		{"bootstrap", func(f *facts) { f.bootstrap = f.bootstrap[2:] }, "can be tried but by a daemon"},
	} {
		f := healthy()
		c.ail(&f)
		i := slices.IndexFunc(diagnose(f), func(x finding) bool { return x.Check == c.name && x.Status == skipped })
		if i < 0 || !strings.Contains(diagnose(f)[i].Text, c.want) {
			t.Errorf("%s: got %+v, want %q", c.name, diagnose(f), c.want)
		}
	}
}

func TestTheClockIsWatchedNoLongerThanThereIsTime(t *testing.T) {
	home := node.HomeAt(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		if c := readClock(ctx, home); c.steady != watching {
			t.Errorf("watched for %s, want %s", c.steady, watching)
		}
		cancel()
		if c := readClock(ctx, home); c.steady != 0 {
			t.Errorf("watched for %s though there was no time", c.steady)
		}
	})
}

// Each fact is seen in a real home.
func TestDoctorSeesWhatIsThere(t *testing.T) {
	home := node.HomeAt(t.TempDir())
	p := &program{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const id = "/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
	multi := func(l net.Listener) string {
		_, port, _ := net.SplitHostPort(l.Addr().String())
		return "/ip4/127.0.0.1/tcp/" + port
	}
	cfg := node.DefaultConfig()
	cfg.Network.Listen = []string{multi(l), "/ip4/127.0.0.1/tcp/0"}
	cfg.API.Listen, cfg.Gateway.Listen = l.Addr().String(), "127.0.0.1:0"
	cfg.Network.Bootstrap = []string{multi(l) + id, "/ip4/127.0.0.1/tcp/1" + id, "/ip4/127.0.0.1/udp/1/quic-v1" + id}
	if f := p.examine(t.Context(), home); f.exists || f.freeErr != nil || f.free == 0 || f.holder != 0 {
		t.Errorf("before there is a home: %+v", f)
	}
	if err := node.Create(home, cfg); err != nil {
		t.Fatal(err)
	}
	f := p.examine(t.Context(), home)
	if f.confErr != nil || f.homeErr != nil || len(f.taken) != 2 || f.taken[0].key != "api.listen" || f.taken[1].addr != multi(l) {
		t.Errorf("got %+v", f)
	}
	if len(f.bootstrap) != 3 || f.bootstrap[0].err != nil || f.bootstrap[1].err == nil || !f.bootstrap[2].skip {
		t.Errorf("bootstrap: %+v", f.bootstrap)
	}
	if c := checkClock(f); c[0].Status != fine {
		t.Errorf("clock: %+v of %+v", c, f.clock)
	}
	for _, m := range f.modes {
		if m.bad {
			t.Errorf("a new home has %+v", m)
		}
	}
	ahead := time.Now().Add(time.Hour)
	if err := os.Chtimes(home.KeyFile(), ahead, ahead); err != nil {
		t.Fatal(err)
	}
	if f := p.examine(t.Context(), home); !f.clock.latest.After(f.clock.now) {
		t.Errorf("a file of tomorrow: %+v", f.clock)
	}
	if runtime.GOOS != "windows" {
		for _, name := range []string{home.KeyFile(), home.State} {
			if err := os.Chmod(name, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if found := checkPermissions(p.examine(t.Context(), home)); len(found) != 2 {
			t.Errorf("opened to others: %+v", found)
		}
	}
	if err := os.MkdirAll(home.Blocks(), 0o700); err != nil {
		t.Fatal(err)
	}
	lock := flock.New(filepath.Join(home.Blocks(), "lock"))
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(err)
	}
	if got := holder(home.Blocks()); got != -1 {
		t.Errorf("locked by nobody knows whom: got %d", got)
	}
	if err := os.WriteFile(lock.Path(), []byte("77\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := holder(home.Blocks()); got != 77 {
		t.Errorf("locked by 77: got %d", got)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if got := holder(home.Blocks()); got != 0 {
		t.Errorf("unlocked: got %d", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := dial(ctx, multi(l)+id); r.err == nil {
		t.Error("reached though there was no time")
	}
}
