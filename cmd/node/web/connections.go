package web

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
)

const (
	// maxConnections is how many connections an address of HTTP has at once; more wait to be taken.
	maxConnections = 1024
	// maxPerClient is how many of them one client has, unless told otherwise: a proxy in front
	// is one client.
	maxPerClient = 256
	// lastConnections are kept for clients that have fewer than fewConnections, such as an orchestrator that
	// probes: some clients with their whole share do not fill the address. Where one client may have
	// all, for it is a proxy, none are kept.
	lastConnections = 64
	fewConnections  = 4
	// firstByte is how long a connection may take to say anything.
	firstByte = 2 * time.Second
)

// newCrowded counts connections that were closed because their client had too many.
func newCrowded() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Name: "annals_http_connections_refused_total",
		Help: "Connections over HTTP that were closed at once, because their client had as many as one may.",
	})
}

// bounded bounds a listener's connections: those of all, and those of each client.
func bounded(l net.Listener, perClient int, refused prometheus.Counter) net.Listener {
	return netutil.LimitListener(&shares{Listener: l, most: perClient, refused: refused, held: map[netip.Prefix]int{}}, maxConnections)
}

// shares is a listener that gives no client more than its share. What is over that is closed at once instead of
// waiting, so that it stands in nobody's way.
type shares struct {
	net.Listener
	most    int
	refused prometheus.Counter

	mu   sync.Mutex
	held map[netip.Prefix]int
	all  int // of all clients
}

// Accept returns the next connection whose client has not too many.
func (s *shares) Accept() (net.Conn, error) {
	for {
		conn, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if from := clientOf(conn.RemoteAddr()); s.take(from) {
			return newShare(conn, func() { s.give(from) }), nil
		}
		s.refused.Inc()
		if tcp, is := conn.(*net.TCPConn); is {
			_ = tcp.SetLinger(0) // a reset: nothing of it stays here
		}
		_ = conn.Close()
	}
}

// clientOf is who is counted as one: an IPv4 address, or the network of an IPv6 address, whose owner has
// all of it.
func clientOf(at net.Addr) netip.Prefix {
	tcp, is := at.(*net.TCPAddr)
	if !is {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.Prefix(bits) // it is none for an address that is none
	return p
}

func (s *shares) take(from netip.Prefix) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	scarce := s.all >= maxConnections-lastConnections && s.most < maxConnections
	if has := s.held[from]; has >= s.most || scarce && has >= fewConnections {
		return false
	}
	s.held[from]++
	s.all++
	return true
}

func (s *shares) give(from netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.held[from]--; s.held[from] == 0 {
		delete(s.held, from)
	}
}

// share is a connection that is counted, and that has to say something soon.
type share struct {
	net.Conn
	give func()

	mu     sync.Mutex
	soon   time.Time // when it must have said something; zero once it has
	wanted time.Time // the deadline for reading, from then on
}

func newShare(conn net.Conn, give func()) *share {
	c := &share{Conn: conn, give: sync.OnceFunc(give), soon: time.Now().Add(firstByte)}
	_ = conn.SetReadDeadline(c.soon) // one that is closed is found to be when it is read
	return c
}

// Read reads, and ends the wait for the first byte with it.
func (c *share) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard()
	}
	return n, err
}

func (c *share) heard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.soon.IsZero() {
		c.soon = time.Time{}
		_ = c.Conn.SetReadDeadline(c.wanted)
	}
}

// SetReadDeadline sets one that is no later than that of the first byte.
func (c *share) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = t
	if !c.soon.IsZero() && (t.IsZero() || t.After(c.soon)) {
		t = c.soon
	}
	return c.Conn.SetReadDeadline(t)
}

// SetDeadline sets both deadlines.
func (c *share) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// Close closes the connection, and gives its place back.
func (c *share) Close() error {
	c.give()
	return c.Conn.Close()
}
