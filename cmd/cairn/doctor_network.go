package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// What doctor asks of holders, and how long things may take by themselves.
const (
	mostAsked = 8               // roots whose holders are asked, the latest first
	settling  = 2 * time.Minute // after its start a peer knows whether it can be called, and a put has its copies
)

// keeping is what was put at a peer, and how well it is kept elsewhere.
type keeping struct {
	pins   []blocks.Pin
	health map[string]blocks.Health // by root, of those whose holders were asked and answered
	err    error                    // why the pins are not known
}

// askKept asks the daemon of home what was put, and the holders of the latest of it.
func askKept(ctx context.Context, home node.Home) (k keeping) {
	base, err := readLine(home.APIAddrFile())
	if err != nil {
		return keeping{err: err}
	}
	c, err := clientOf(home, base)
	if err != nil {
		return keeping{err: err}
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if k.pins, k.err = c.Pins(ctx); k.err != nil {
		return k
	}
	k.health = map[string]blocks.Health{}
	for _, pin := range k.asked() {
		if h, err := c.Health(ctx, pin.Root.String(), false); err == nil {
			k.health[pin.Root.String()] = h
		}
	}
	return k
}

// placed are the pins that copies were asked for, the latest first.
func (k keeping) placed() []blocks.Pin {
	placed := slices.DeleteFunc(slices.Clone(k.pins), func(p blocks.Pin) bool { return p.Lease == (blocks.LeaseID{}) })
	slices.SortStableFunc(placed, func(a, b blocks.Pin) int { return b.Time.Compare(a.Time) })
	return placed
}

// asked are those of them whose holders are asked: a pin that is pending says by itself
// that it is short.
func (k keeping) asked() []blocks.Pin {
	done := slices.DeleteFunc(k.placed(), func(p blocks.Pin) bool { return p.Pending })
	return done[:min(len(done), mostAsked)]
}

// checkCopies finds what has fewer copies than were asked for: puts that did not get them
// in time, and those that lost them since.
func checkCopies(f facts) []finding {
	switch {
	case f.daemon == nil:
		return unknown("no daemon to ask")
	case f.kept.err != nil:
		return unknown("what was put is not known: %s", f.kept.err)
	}
	var short []string
	for _, pin := range f.kept.placed() {
		h, answered := f.kept.health[pin.Root.String()]
		switch {
		case pin.Pending && f.clock.now.Sub(pin.Time) > settling:
			short = append(short, titled(pin)+" has not all its copies since "+pin.Time.UTC().Format(time.RFC3339))
		case answered && h.AtRisk > 0:
			short = append(short, fmt.Sprintf("%s has %d of %d copies of its worst-kept block", titled(pin), h.Min, min(h.Target, h.Members)))
		}
	}
	asked, answers := f.kept.asked(), len(f.kept.health)
	switch n := len(short); {
	case n > 3:
		short = append(short[:3], fmt.Sprintf("and %d more", n-3))
		fallthrough
	case n > 0:
		return ill("keep this peer running, which goes on making copies, and connect it to more peers: cairn swarm connect ADDRESS; cairn health CID says how far it is",
			"%s", strings.Join(short, "; "))
	case len(f.kept.placed()) == 0:
		return well("nothing was put here that others should keep")
	case answers < len(asked):
		return unknown("the holders of %d of %s did not answer in time", len(asked)-answers, count(len(asked), "file"))
	}
	return well("%s put, none is pending; the holders of %d were asked", count(len(f.kept.placed()), "file"), answers)
}

// titled is a root with its name.
func titled(p blocks.Pin) string {
	if p.Name == "" {
		return p.Root.String()
	}
	return p.Root.String() + " (" + shown(p.Name) + ")"
}

// checkReachable asks whether strangers can call this peer, in a network of strangers.
func checkReachable(f facts) []finding {
	if f.daemon == nil {
		return unknown("no daemon to ask")
	}
	if f.daemon.Profile != node.ProfilePublic {
		return well("profile %s: nobody calls from outside", f.daemon.Profile)
	}
	const fix = "forward port 4101, TCP and UDP, to this machine in the router, or let it by UPnP, and open it in the firewall"
	public := publicAddrs(f.daemon)
	switch {
	case f.daemon.Reachable == "yes":
		return well("others have called it back")
	case f.daemon.Reachable == "no":
		return ill(fix, "others tried to call it and could not: %s", strings.Join(public, ", "))
	case f.clock.now.Sub(f.daemon.Started) < settling:
		return unknown("the daemon has just started")
	case len(public) == 0:
		return ill(fix, "it has no public address: it is behind a NAT that has opened no port, and holds nothing for others")
	}
	return unknown("nobody has tried yet to call %s", strings.Join(public, ", "))
}

// publicAddrs are the addresses of id that the whole internet could dial.
func publicAddrs(id *api.ID) (public []string) {
	for _, s := range id.Addresses {
		if a, err := ma.NewMultiaddr(s); err == nil && manet.IsPublicAddr(a) {
			public = append(public, s)
		}
	}
	return public
}
