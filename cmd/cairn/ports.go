package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"

	"github.com/cairn-network/cairn/node"
)

// Ports that are chosen for a peer lie below those that systems give out by
// themselves, so that no outgoing connection takes one while a peer is away.
const (
	lowPort  = 20000
	highPort = 32000
)

// picker finds free ports, and holds each until all have been found, so that no
// two are the same. It starts anywhere, so that two of them seldom meet.
type picker struct {
	next int
	held []net.Listener
}

func newPicker(r *rand.Rand) *picker { return &picker{next: lowPort + r.IntN(highPort-lowPort)} }

// pick gives a free TCP port of 127.0.0.1.
func (k *picker) pick() (int, error) {
	for range highPort - lowPort {
		port := k.next
		if k.next++; k.next == highPort {
			k.next = lowPort
		}
		if k.take(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port from %d to %d", lowPort, highPort)
}

// take reports whether port is free, and holds it.
func (k *picker) take(port int) bool {
	l, err := net.Listen("tcp", local(port))
	if err == nil {
		k.held = append(k.held, l)
	}
	return err == nil
}

// release lets go of the ports, for those they were found for.
func (k *picker) release() error {
	var errs []error
	for _, l := range k.held {
		errs = append(errs, l.Close())
	}
	k.held = nil
	return errors.Join(errs...)
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePorts gives fresh, which is to be a new home's configuration, ports that are
// free, where asked, which is fresh with flags and environment over it, chose none.
func freePorts(fresh, asked node.Config) (node.Config, error) {
	for _, a := range []struct {
		name  string
		fresh *string
		asked string
	}{
		{"API", &fresh.API.Listen, asked.API.Listen},
		{"gateway", &fresh.Gateway.Listen, asked.Gateway.Listen},
	} {
		if a.asked != *a.fresh {
			continue
		}
		port, err := freeFrom(*a.fresh)
		if err != nil {
			return fresh, fmt.Errorf("daemon: a port for the %s: %w", a.name, err)
		}
		*a.fresh = local(port)
	}
	usual := fresh.ListenAddrs()
	if !slices.Equal(asked.ListenAddrs(), usual) {
		return fresh, nil
	}
	const first = 4101
	for port := first; port < first+100; port++ {
		if !freeEverywhere(port) {
			continue
		}
		if port != first {
			fresh.Network.Listen = node.ListenOn(port)
		}
		return fresh, nil
	}
	return fresh, fmt.Errorf("daemon: no free port from %d to %d", first, first+99)
}

// freeFrom gives the first free port at or after that of addr.
func freeFrom(addr string) (int, error) {
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, err
	}
	first, err := strconv.Atoi(text)
	if err != nil {
		return 0, err
	}
	for port := first; port < first+100; port++ {
		var k picker
		if k.take(port) {
			return port, k.release()
		}
	}
	return 0, fmt.Errorf("none is free from %d to %d", first, first+99)
}

// freeEverywhere reports whether port is free for TCP and UDP on all addresses.
func freeEverywhere(port int) bool {
	addr := net.JoinHostPort("", strconv.Itoa(port))
	t, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	defer t.Close()
	u, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	return u.Close() == nil
}
