package gateway_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// rawConn speaks the NATS protocol over a socket by hand, to send what a
// client library refuses to send.
type rawConn struct {
	net.Conn
	reader *bufio.Reader
	asked  int
}

func dialRaw(t testing.TB, s *server.Server) *rawConn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &rawConn{Conn: conn, reader: bufio.NewReader(conn)}
	c.write(t, "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\nSUB _INBOX.raw.* 1\r\n")
	c.sync(t)
	return c
}

func (c *rawConn) write(t testing.TB, text string) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// sync waits until the server has read all that was written.
func (c *rawConn) sync(t testing.TB) {
	t.Helper()
	c.write(t, "PING\r\n")
	for {
		line, err := c.reader.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "PONG\r\n" {
			return
		}
		if strings.HasPrefix(line, "-ERR") {
			t.Fatalf("the server said %s", line)
		}
	}
}

// publish sends a message whose header block is exactly the given text.
func (c *rawConn) publish(t testing.TB, subject, reply, header, body string) {
	t.Helper()
	if header == "" {
		c.write(t, fmt.Sprintf("PUB %s %s %d\r\n%s\r\n", subject, reply, len(body), body))
		return
	}
	c.write(t, fmt.Sprintf("HPUB %s %s %d %d\r\n%s%s\r\n", subject, reply, len(header), len(header)+len(body), header, body))
}

// request returns the number of the answer: 200, a Nats-Service-Error-Code,
// or the server's own status.
func (c *rawConn) request(t testing.TB, subject, header, body string) (int, *nats.Msg) {
	t.Helper()
	c.asked++
	reply := "_INBOX.raw." + strconv.Itoa(c.asked)
	c.publish(t, subject, reply, header, body)
	for {
		m, err := c.read()
		if err != nil {
			t.Fatalf("request %q: %v", subject, err)
		}
		if m.Subject != reply {
			continue
		}
		if s := m.Header.Get("Status"); s != "" {
			n, _ := strconv.Atoi(s)
			return n, m
		}
		return status(t, m), m
	}
}

func (c *rawConn) read() (*nats.Msg, error) {
	line, err := c.reader.ReadString('\n')
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(line)
	switch fields[0] {
	case "-ERR":
		return nil, fmt.Errorf("the server said %s", line)
	case "PING":
		_, err := io.WriteString(c, "PONG\r\n")
		return &nats.Msg{}, err
	case "MSG", "HMSG":
	default:
		return &nats.Msg{}, nil
	}
	total, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil {
		return nil, err
	}
	data := make([]byte, total+2)
	if _, err := io.ReadFull(c.reader, data); err != nil {
		return nil, err
	}
	m := &nats.Msg{Subject: fields[1], Data: bytes.TrimSuffix(data, []byte("\r\n"))}
	if fields[0] == "HMSG" {
		n, err := strconv.Atoi(fields[len(fields)-2])
		if err != nil {
			return nil, err
		}
		if m.Header, err = nats.DecodeHeadersMsg(m.Data[:n]); err != nil {
			return nil, err
		}
		m.Data = m.Data[n:]
	}
	return m, nil
}
