package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/annals-go/annals/gateway"
)

// sent is the text of a request with a body.
func sent(line, headers, body string) string {
	return fmt.Sprintf("%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%sContent-Length: %d\r\n\r\n%s", line, headers, len(body), body)
}

// badRequests are the texts of requests, and what may become of them. Without a
// number the server just hangs up.
func badRequests() map[string]string {
	command := func(id string) string { return "POST /v1/commands/account/" + id + "/open" }
	body := `{"owner":"Ann"}`
	all := map[string]string{
		"a path that climbs":          sent(command("..%2f..%2fetc%00"), jsonType, body),
		"NUL in an id":                sent(command("a%00b"), jsonType, body),
		"an id that is not UTF-8":     sent(command("%ff%fe"), jsonType, body),
		"an id of 129 bytes":          sent(command(strings.Repeat("x", 129)), jsonType, body),
		"an id of 8 KB":               sent(command(strings.Repeat("x", 8<<10)), jsonType, body),
		"a zero-width joiner":         sent(command("a%E2%80%8Db"), jsonType, body),
		"normal form D":               sent(command("e%CC%81"), jsonType, body),
		"half an escape":              sent(command("a%2"), jsonType, body),
		"an empty id":                 sent("POST /v1/commands/account//open", jsonType, body),
		"an unknown type":             sent("POST /v1/commands/robot/a/open", jsonType, body),
		"an unknown command":          sent("POST /v1/commands/account/a/--help", jsonType, body),
		"an unknown parameter":        sent(command("a")+"?wait_fro=balances", jsonType, body),
		"a timeout of words":          sent(command("a")+"?timeout=long", jsonType, body),
		"a timeout of years":          sent(command("a")+"?timeout=99999h", jsonType, body),
		"a broken query":              sent("GET /v1/views/balances?limit=%zz;cursor=%00", "", ""),
		"a cursor that is none":       sent("GET /v1/views/balances?cursor=%00%ff", "", ""),
		"a limit of 2^64":             sent("GET /v1/views/balances?limit=18446744073709551616", "", ""),
		"a time that is none":         sent("GET /v1/aggregates/account/a?at_time=9999-99-99T99:99:99Z", "", ""),
		"a watch from nowhere":        sent("GET /v1/watch/balances?after=-1", "", ""),
		"a watch of an unknown model": sent("GET /v1/watch/balances", "Last-Event-ID: "+strings.Repeat("9", 400)+"\r\n", ""),
		"no type":                     sent(command("a"), "", body),
		"a type that is none":         sent(command("a"), "Content-Type: ;;\r\n", body),
		"a form":                      sent(command("a"), "Content-Type: text/plain\r\n", body),
		"a command id of 129 bytes":   sent(command("a"), jsonType+"Annals-Command-Id: "+strings.Repeat("x", 129)+"\r\n", body),
		"a page of another origin":    sent(command("a"), jsonType+"Origin: https://evil.example\r\n", body),
		"a name that leads here":      strings.Replace(sent(command("a"), jsonType, body), "Host: 127.0.0.1", "Host: evil.example", 1),
		"two hosts":                   strings.Replace(sent(command("a"), jsonType, body), "Host: 127.0.0.1", "Host: 127.0.0.1\r\nHost: b", 1),
		"no host":                     strings.Replace(sent(command("a"), jsonType, body), "Host: 127.0.0.1\r\n", "", 1),
		"17 KB of headers":            sent(command("a"), jsonType+"X: "+strings.Repeat("y", 40<<10)+"\r\n", body),
		"10,000 headers":              sent(command("a"), jsonType+strings.Repeat("X: y\r\n", 10_000), body),
		"a header with a line feed":   sent(command("a"), jsonType+"Annals-Command-Id: a\nAnnals-Principal: root\r\n", ""),
		"a space in a header's name":  sent(command("a"), jsonType+"Annals Id: a\r\n", body),
		"two lengths":                 sent(command("a"), jsonType+"Content-Length: 3\r\n", body),
		"a length below zero":         strings.Replace(sent(command("a"), jsonType, body), "Content-Length: 15", "Content-Length: -1", 1),
		"a length and chunks":         sent(command("a"), jsonType+"Transfer-Encoding: chunked, x\r\n", body),
		"a chunk of words":            strings.Replace(sent(command("a"), jsonType+"Transfer-Encoding: chunked\r\n", ""), "Content-Length: 0\r\n", "", 1) + "zz\r\n",
		"another method":              sent("DELETE /v1/commands/account/a/open", jsonType, body),
		"a method of 9 KB":            sent(strings.Repeat("X", 9<<10)+" /v1/info", "", ""),
		"no protocol":                 "\x00\x01\x02\r\n\r\n",
		"a tunnel":                    sent("CONNECT 127.0.0.1:22", "", ""),
		"TLS":                         "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
	}
	for _, in := range badBodies() {
		if strings.HasPrefix(in.subject, "bank.cmd.") && len(in.body) < 1<<20-1024 {
			lines := strings.TrimSuffix(strings.TrimPrefix(in.header, block), "\r\n")
			all["body: "+in.what] = sent("POST /v1/commands/account/b/deposit", lines, in.body)
		}
	}
	all["a body of 2 MB"] = sent(command("a"), jsonType, strings.Repeat(" ", 2<<20))
	all["a compressed body"] = sent(command("a"), jsonType+"Content-Encoding: zstd\r\n", "\x28\xb5\x2f\xfd\x00\x58\x01\x00\x00")
	all["a wait for words"] = sent("POST /v1/wait", jsonType, `{"position":"x","views":7}`)
	all["a wait for 1,000 views"] = sent("POST /v1/wait", jsonType, `{"position":1,"views":[`+strings.Repeat(`"a",`, 999)+`"a"]}`)
	all["a deep wait"] = sent("POST /v1/wait", jsonType, strings.Repeat("[", 1<<20-1))
	return all
}

// exchange sends a text over a connection of its own, and returns the number of
// the answer, 0 if the other side hung up without one.
func exchange(t *testing.T, host, text string) (status int, header http.Header, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(conn, text) }() // it may answer before it has read all
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, nil, ""
	}
	defer func() { _ = answer.Body.Close() }()
	data, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10)) // a connection that was cut has said enough
	return answer.StatusCode, answer.Header, string(data)
}

// Each bad request passes as DESIGN.md says.
//
//nolint:paralleltest // it measures what this process allocates
func TestBadInputsOverHTTP(t *testing.T) {
	at, logged := startNode(t, "dev", "--nats", "127.0.0.1:0", "--http", "127.0.0.1:0")
	nc := connect(t, at.NATS)
	client, err := gateway.NewClient(gateway.ClientConfig{Conn: nc, Namespace: "bank", Timeout: soon})
	if err != nil {
		t.Fatal(err)
	}
	b := watchOver(t, client)
	host := strings.TrimPrefix(at.HTTP, "http://")
	before, tried := live(), 0
	for what, text := range badRequests() {
		within(t, what, func() {
			status, header, body := exchange(t, host, text)
			ours := header.Get(gateway.HeaderError) != ""
			refused := status == 0 || status == http.StatusTemporaryRedirect || status >= 400 && status < 600 && status != 500
			// What is no request at all is refused by the server of the standard library,
			// in words; what is one, by us, with a code.
			if !refused || status != 0 && !ours && strings.Contains(body, "io.annals") {
				t.Errorf("%s: %d %.200s", what, status, body)
			}
		})
		tried++
	}
	if after := live(); after > before+mostBytes {
		t.Errorf("it held %d bytes before, and holds %d", before, after)
	}
	answer, err := http.Get(at.HTTP + "/v1/aggregates/account/good")
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("a good question afterwards: %v %v", answer, err)
	}
	_ = answer.Body.Close()
	b.onlyTheGood(t, nc)
	if strings.Contains(logged.String(), "goroutine ") {
		t.Errorf("something panicked: %s", logged)
	}
	t.Logf("%d bad requests, %d good commands meanwhile", tried, b.sent.Load())
}

// TestSlowAndEndlessRequests holds connections that say something now and then, and sends
// bodies without an end. Each is cut off within seconds, and others are served
// meanwhile.
func TestSlowAndEndlessRequests(t *testing.T) {
	t.Parallel()
	at, _ := startNode(t, "dev", "--nats", "127.0.0.1:0", "--http", "127.0.0.1:0")
	nc := connect(t, at.NATS)
	client, err := gateway.NewClient(gateway.ClientConfig{Conn: nc, Namespace: "bank", Timeout: soon})
	if err != nil {
		t.Fatal(err)
	}
	b := watchOver(t, client)
	host := strings.TrimPrefix(at.HTTP, "http://")
	const (
		holders = 64
		most    = 14 * time.Second
	)
	began := time.Now()
	var all sync.WaitGroup
	hold := func(first, drip string) {
		all.Go(func() {
			conn, err := net.Dial("tcp", host)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			ended := make(chan struct{})
			go func() {
				discard(conn)
				close(ended)
			}()
			_, _ = io.WriteString(conn, first)
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ended:
					return
				case <-tick.C:
					_, _ = io.WriteString(conn, drip) // until it is cut off
				}
			}
		})
	}
	for range holders / 4 {
		hold("GET /v1/info HTTP/1.1\r\nHost: 127.0.0.1\r\n", "X: y\r\n")
		hold("POST /v1/commands/account/s/open HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{", " ")
		hold("POST /v1/commands/account/s/open HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "1\r\n \r\n")
		hold("G", "E")
	}
	endless := strings.Repeat("8000\r\n"+strings.Repeat(" ", 0x8000)+"\r\n", 200) // 6.5 MB
	status, _, body := exchange(t, host, "POST /v1/commands/account/s/open HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"+endless)
	if status != http.StatusRequestEntityTooLarge && status != 0 {
		t.Errorf("an endless body: %d %s", status, body)
	}
	for range 20 { // others are served
		answer, err := http.Get(at.HTTP + "/v1/info")
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("a good question meanwhile: %v %v", answer, err)
		}
		_ = answer.Body.Close()
	}
	all.Wait()
	if took := time.Since(began); took > most {
		t.Errorf("the last slow connection was cut off after %v", took)
	}
	b.onlyTheGood(t, nc)
}
