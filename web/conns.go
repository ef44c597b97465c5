package web

import (
	"net"
	"net/netip"
	"sync"
)

const (
	allConns = 4096 // open at once, of one face
	perIP    = 64   // of those, from one address that is not of this machine
)

// crowd is a listener that closes at once what one address, or all of them, have too
// many of.
type crowd struct {
	net.Listener
	each int            // of one address, less than 0 is no limit
	own  bool           // this machine's own addresses count as well
	free []netip.Prefix // which do not count: a proxy's are those of many

	mu  sync.Mutex
	all int                // guarded by mu
	of  map[netip.Addr]int // guarded by mu
}

func newCrowd(l net.Listener, cfg Config) *crowd {
	c := &crowd{Listener: l, each: cfg.PerIP, own: cfg.PerIP > 0, free: cfg.Proxies, of: map[netip.Addr]int{}}
	if c.each == 0 {
		c.each = perIP
	}
	return c
}

// Accept is net.Listener's.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := c.counted(conn)
		if c.enter(addr) {
			return &counted{Conn: conn, leave: sync.OnceFunc(func() { c.leave(addr) })}, nil
		}
		_ = conn.Close() // who has too many learns it from that
	}
}

// counted is the address that conn counts for; none if it counts for nobody.
func (c *crowd) counted(conn net.Conn) (none netip.Addr) {
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return none
	}
	addr := at.Addr().Unmap()
	if c.each < 0 || addr.IsLoopback() && !c.own {
		return none
	}
	for _, p := range c.free {
		if p.Contains(addr) {
			return none
		}
	}
	return addr
}

func (c *crowd) enter(addr netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= allConns || addr.IsValid() && c.of[addr] >= c.each {
		return false
	}
	c.all++
	if addr.IsValid() {
		c.of[addr]++
	}
	return true
}

func (c *crowd) leave(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if !addr.IsValid() {
		return
	}
	if c.of[addr]--; c.of[addr] == 0 {
		delete(c.of, addr)
	}
}

// counted is a connection that counts until it is closed.
type counted struct {
	net.Conn
	leave func()
}

// Close is net.Conn's.
func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
