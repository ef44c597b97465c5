package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api/client"
)

// noDaemonError says that there is no daemon to talk to, and how to start one.
type noDaemonError struct{ where string }

func (e *noDaemonError) Error() string {
	return fmt.Sprintf("no daemon is running (%s): start one with `cairn daemon`, or a network on this machine with `cairn testnet up`", e.where)
}

// client finds the daemon to talk to: --api, --peer, the home's, or the first
// live peer of the only testnet that is up.
func (p *program) client() (*client.Client, error) {
	home, err := p.homeDirs()
	if err != nil {
		return nil, err
	}
	if p.api != "" {
		return p.clientAt(home)
	}
	if p.peer != "" {
		m, err := p.findPeer(p.peer)
		if err != nil {
			return nil, err
		}
		return clientOf(node.HomeAt(m.Home), m.API)
	}
	base, err := readLine(home.APIAddrFile())
	switch {
	case err == nil && answers(base):
		return clientOf(home, base)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("find the daemon: %w", err)
	}
	if p.home == "" {
		if t, m, ok := p.onlyTestnet(); ok {
			p.note("cairn: talking to %s of testnet %s", m.Name, t.Name)
			return clientOf(node.HomeAt(m.Home), m.API)
		}
	}
	return nil, &noDaemonError{"none has left its address in " + home.APIAddrFile()}
}

// clientAt talks to --api. The home's token is shown to this machine only.
func (p *program) clientAt(home node.Home) (*client.Client, error) {
	base := p.api
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usagef("--api %s: want a URL such as http://127.0.0.1:5101", p.api)
	}
	token := os.Getenv("CAIRN_TOKEN")
	if token == "" && loopback(u.Hostname()) {
		token, err = readLine(home.TokenFile())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("token: %w", err)
		}
	}
	return client.New(base, token), nil
}

func clientOf(home node.Home, base string) (*client.Client, error) {
	token, err := readLine(home.TokenFile())
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	return client.New(base, token), nil
}

// answers reports whether somebody listens at base: a daemon that was killed
// leaves its address behind.
func answers(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	c, err := net.DialTimeout("tcp", u.Host, time.Second)
	if err != nil {
		return false
	}
	_ = c.Close() // nothing was said on it
	return true
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func readLine(file string) (string, error) {
	data, err := os.ReadFile(file)
	return strings.TrimSpace(string(data)), err
}
