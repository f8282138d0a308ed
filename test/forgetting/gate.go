//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"strings"
	"sync"
)

// gate stands between a node and its server, passes everything on, and ends the node when
// it meets what a trap waits for: between two bytes, where the node cannot do anything more.
type gate struct {
	node     string
	server   string // its address
	listener net.Listener
	traps    *traps
	kill     func(node string) // returns when the process is gone
	links    sync.WaitGroup
}

func openGate(node, server string, t *traps, kill func(string)) (*gate, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{node: node, server: server, listener: listener, traps: t, kill: kill}
	g.links.Go(g.accept)
	return g, nil
}

func (g *gate) url() string { return "nats://" + g.listener.Addr().String() }

func (g *gate) accept() {
	for {
		inner, err := g.listener.Accept()
		if err != nil {
			return
		}
		outer, err := net.Dial("tcp", g.server)
		if err != nil {
			_ = inner.Close()
			continue
		}
		l := &link{gate: g, node: inner, server: outer, waiting: map[string]*trap{}}
		g.links.Go(func() { l.pass(inner, outer, l.outward) })
		g.links.Go(func() { l.pass(outer, inner, l.inward) })
	}
}

// close returns when nothing is passed on any more. The nodes are gone by then.
func (g *gate) close() {
	_ = g.listener.Close()
	g.links.Wait()
}

// link is one connection.
type link struct {
	gate         *gate
	node, server net.Conn

	mu      sync.Mutex
	waiting map[string]*trap // that close at the answer to a reply subject
}

var errKilled = errors.New("the node was killed")

// pass passes on messages until either side ends, or the node is killed at one.
func (l *link) pass(from, to net.Conn, look func(*message) error) {
	defer func() { _, _ = l.node.Close(), l.server.Close() }()
	const buffer = 64 << 10
	in, out := bufio.NewReaderSize(from, buffer), bufio.NewWriterSize(to, buffer)
	for {
		m, err := readMessage(in)
		if err == nil {
			err = look(&m)
		}
		if err == nil {
			_, err = out.Write(m.raw)
		}
		if err == nil && in.Buffered() == 0 {
			err = out.Flush()
		}
		if err != nil {
			return
		}
	}
}

// outward looks at what the node sends. What a trap keeps back never had an effect.
func (l *link) outward(m *message) error {
	if !strings.HasSuffix(m.verb, "PUB") {
		return nil
	}
	t := l.gate.traps.meets(m)
	if t == nil {
		return nil
	}
	if !t.after {
		return l.close(t)
	}
	if m.reply != "" {
		l.mu.Lock()
		l.waiting[m.reply] = t
		l.mu.Unlock()
	}
	return nil
}

// inward looks at what the node gets. An answer that says that it was done had its effect, and
// the node never hears of it.
func (l *link) inward(m *message) error {
	if !strings.HasSuffix(m.verb, "MSG") {
		return nil
	}
	l.mu.Lock()
	t := l.waiting[m.subject]
	delete(l.waiting, m.subject)
	l.mu.Unlock()
	if t == nil || m.status || bytes.Contains(m.payload, []byte(`"error"`)) {
		return nil
	}
	return l.close(t)
}

// close kills the node if the trap has not closed elsewhere meanwhile.
func (l *link) close(t *trap) error {
	if !l.gate.traps.claim(t) {
		return nil
	}
	l.gate.kill(l.gate.node)
	t.closed <- l.gate.node
	return errKilled
}
