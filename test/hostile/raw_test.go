package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// wire speaks the protocol of NATS by hand, to send what no client library sends.
type wire struct {
	net.Conn
	reader *bufio.Reader
	inbox  string
	asked  int
}

func dial(t *testing.T, at string) *wire {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	w := &wire{Conn: conn, reader: bufio.NewReaderSize(conn, 64<<10), inbox: nats.NewInbox()}
	w.write(t, `CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}`+"\r\nSUB "+w.inbox+".* 1\r\n")
	return w
}

func (w *wire) write(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// publish sends a message whose header block is exactly the given text.
func (w *wire) publish(t *testing.T, subject, reply, header, body string) {
	t.Helper()
	if header == "" {
		w.write(t, fmt.Sprintf("PUB %s %s %d\r\n%s\r\n", subject, reply, len(body), body))
		return
	}
	w.write(t, fmt.Sprintf("HPUB %s %s %d %d\r\n%s%s\r\n", subject, reply, len(header), len(header)+len(body), header, body))
}

// ask returns the number of the answer: 200, a code's, or the server's own 503.
func (w *wire) ask(t *testing.T, subject, header, body string) (status int, m *nats.Msg) {
	t.Helper()
	w.asked++
	reply := w.inbox + "." + strconv.Itoa(w.asked)
	w.publish(t, subject, reply, header, body)
	for {
		m, err := w.read()
		if err != nil {
			t.Fatalf("%.80q: the connection: %v", subject, err)
		}
		if m.Subject != reply {
			continue
		}
		for _, name := range []string{"Status", "Nats-Service-Error-Code"} {
			if n, err := strconv.Atoi(m.Header.Get(name)); err == nil {
				return n, m
			}
		}
		return 200, m
	}
}

func (w *wire) read() (*nats.Msg, error) {
	line, err := w.reader.ReadString('\n')
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(line)
	switch {
	case len(fields) == 0:
		return nil, errors.New("an empty line")
	case fields[0] == "-ERR":
		return nil, fmt.Errorf("the server said %s", strings.TrimSpace(line))
	case fields[0] == "PING":
		_, err := io.WriteString(w, "PONG\r\n")
		return &nats.Msg{}, err
	case fields[0] != "MSG" && fields[0] != "HMSG":
		return &nats.Msg{}, nil
	}
	total, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil {
		return nil, err
	}
	data := make([]byte, total+2)
	if _, err := io.ReadFull(w.reader, data); err != nil {
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
