package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
)

// What doctor holds to be too little, or too much.
const (
	leastFree  = 1 << 30         // bytes: below it a put of a usual size may not fit
	clockSlack = 2 * time.Second // file systems keep whole seconds, some two
	driftSlack = 50 * time.Millisecond
)

// facts are what doctor knows of a peer and its machine.
type facts struct {
	home    node.Home
	exists  bool
	homeErr error // of its layout
	layout  layout
	keyErr  error // of its identity
	config  node.Config
	confErr error

	modes   []mode
	modeErr error // why modes say nothing here

	daemon    *api.ID // the daemon that answers; nil is none
	daemonErr error   // why one that should answer does not
	stale     bool    // one has left its address and is gone
	holder    int     // PID that has the blocks; 0 is nobody, -1 is somebody

	kept keeping // what was put, and its copies elsewhere

	taken []taken // what the daemon would listen on, and cannot

	free    uint64 // bytes
	freeErr error

	clock clock

	bootstrap []reach
}

// mode is a file of the home that others have no business with.
type mode struct {
	path, is, want string // such as 0644 and 600
	bad            bool
}

// layout is the number of the layout of the home's data; 0 is not known.
type layout struct{ has, writes int }

type taken struct{ what, addr, key string }

// clock is what can be known of a clock without another.
type clock struct {
	now      time.Time
	released time.Time     // of this program, or of its sources
	file     time.Duration // from now to the time that the file system gave a new file
	fileErr  error
	wall     time.Duration // that passed while steady did
	steady   time.Duration
	latest   time.Time // of the home's files
}

// reach is a bootstrap peer, and whether its port answered.
type reach struct {
	addr string
	err  error
	skip bool // it cannot be tried without being a peer
}

func checkVersion(f facts) []finding {
	var newer *node.HomeError
	if f.exists && errors.As(f.homeErr, &newer) {
		return ill("install the newer cairn again, or use another --home", "%s", f.homeErr)
	}
	if f.layout.has > 0 && f.layout.has < f.layout.writes {
		return ill("start the daemon of this cairn, which brings it forward and leaves a copy",
			"the home is of layout %d, and this program writes %d", f.layout.has, f.layout.writes)
	}
	if f.daemon != nil && f.daemon.Version != node.Version {
		return ill("restart the daemon", "the daemon is cairn %s, this program %s", f.daemon.Version, node.Version)
	}
	return well("cairn %s", node.Version)
}

func checkHome(f facts) []finding {
	if !f.exists {
		return well("not there yet: `cairn daemon` makes it in %s", f.home.Data)
	}
	open := slices.ContainsFunc(f.modes, func(m mode) bool { return m.bad && m.path == f.home.KeyFile() })
	if f.keyErr != nil && !open { // of which the permissions tell
		return ill("restore it from a copy; without one move it away, and the daemon makes another identity", "%s", f.keyErr)
	}
	return well("%s", f.home.Data)
}

func checkPermissions(f facts) (all []finding) {
	if f.modeErr != nil {
		return unknown("%s", f.modeErr)
	}
	for _, m := range f.modes {
		if m.bad {
			all = append(all, ill("chmod "+m.want+" "+m.path, "%s is open to others or closed to its owner: mode %s", m.path, m.is)...)
		}
	}
	if all == nil {
		return well("%s, none open to others", count(len(f.modes), "path"))
	}
	return all
}

func checkConfig(f facts) []finding {
	if f.confErr != nil {
		return ill("cairn config edit", "%s", f.confErr)
	}
	if !loopbackAddr(f.config.API.Listen) {
		return ill("cairn config set api.listen 127.0.0.1:5101", "the API listens on %s, where strangers can try its token", f.config.API.Listen)
	}
	return well("%s", f.home.Config)
}

func checkLock(f facts) []finding {
	if f.holder == 0 || f.daemon != nil {
		return well("no other process has the blocks")
	}
	locked := &blocks.LockedError{Dir: f.home.Blocks(), PID: max(f.holder, 0)}
	return ill("wait until it has started, or stop that process", "%s, and no daemon of this home answers", locked)
}

func checkDaemon(f facts) []finding {
	switch {
	case f.daemonErr != nil:
		return ill("see what it logs, and restart it", "a daemon is there and does not answer: %s", f.daemonErr)
	case f.daemon != nil:
		return well("%s answers at %s, state %s", f.daemon.ID, f.daemon.API, f.daemon.State)
	case f.stale:
		return well("none runs; the last one was killed, which loses nothing that was put")
	}
	return well("none runs")
}

func checkPorts(f facts) (all []finding) {
	if f.daemon != nil {
		return well("the daemon has them")
	}
	if f.confErr != nil {
		return unknown("which ones is not known until the configuration is right")
	}
	for _, t := range f.taken {
		all = append(all, ill("stop the program that has it, or choose another: cairn config set "+t.key+" …", "%s: %s is in use", t.what, t.addr)...)
	}
	if all == nil {
		return well("those of the configuration are free")
	}
	return all
}

func checkDisk(f facts) []finding {
	switch {
	case f.freeErr != nil:
		return unknown("free space: %s", f.freeErr)
	case f.free < leastFree:
		return ill("make room, or move the home", "%s is free at %s", size(int64(f.free)), f.home.Data)
	}
	return well("%s is free", size(int64(f.free)))
}

// checkClock says what it compared: there is no other clock to ask.
func checkClock(f facts) []finding {
	c, fix := f.clock, "set the clock, or let NTP do it: leases and announcements carry times"
	drift := (c.wall - c.steady).Abs()
	switch {
	case c.now.Before(c.released):
		return ill(fix, "it is %s here, before this program was made", c.now.UTC().Format(time.DateOnly))
	case c.latest.After(c.now.Add(clockSlack)):
		return ill(fix, "a file of the home was written %s from now: the clock was set back", c.latest.Sub(c.now).Round(time.Second))
	case c.fileErr == nil && c.file.Abs() > clockSlack:
		return ill(fix, "the file system's clock is %s off", c.file.Round(time.Second))
	case drift > driftSlack:
		return ill(fix, "it jumped by %s while it was watched", drift.Round(time.Millisecond))
	}
	compared := []string{"the files of the home", fmt.Sprintf("%s of the machine's steady clock", c.steady.Round(time.Millisecond))}
	if c.fileErr == nil {
		compared = append([]string{"the file system's"}, compared...)
	}
	return well("agrees with %s; other machines were not asked", strings.Join(compared, " and "))
}

func checkPeers(f facts) []finding {
	switch {
	case f.daemon == nil:
		return unknown("no daemon to ask")
	case f.daemon.Peers == 0:
		return ill("name one: cairn config set network.bootstrap ADDRESS, and restart the daemon",
			"no other peer is connected: what is put is kept here only")
	}
	return well("%s connected", count(f.daemon.Peers, "peer"))
}

func checkBootstrap(f facts) []finding {
	var tried, failed []string
	for _, r := range f.bootstrap {
		if r.skip {
			continue
		}
		tried = append(tried, r.addr)
		if r.err != nil {
			failed = append(failed, r.addr)
		}
	}
	switch {
	case len(f.bootstrap) == 0:
		return well("none is configured")
	case len(tried) == 0:
		return unknown("none of the %d can be tried but by a daemon", len(f.bootstrap))
	case len(failed) == len(tried):
		return ill("see whether this machine is online, and whether they still run: cairn config get network.bootstrap",
			"none of %d answers: %s", len(tried), strings.Join(failed, ", "))
	case len(failed) > 0:
		return well("%d of %d answer; not %s", len(tried)-len(failed), len(tried), strings.Join(failed, ", "))
	}
	return well("%s, all answer", count(len(tried), "peer"))
}
