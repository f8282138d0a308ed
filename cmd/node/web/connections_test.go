package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/cmd/node/console"
)

// local is a free port of this machine.
var local = Address{Host: "127.0.0.1"}

func newServer(access Access) *Server {
	return New(Config{At: local, Access: access, Metrics: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
}

// runServer runs what a process serves over HTTP until the test ends.
func runServer(t *testing.T, access Access) *Server {
	t.Helper()
	w := newServer(access)
	if err := w.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return w
}

// fetchFrom asks from an address of this machine, by a connection of its own.
func fetchFrom(ctx context.Context, from, url string) (status int, body string, err error) {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// crowd holds so many connections that say nothing, and comes again with each that is closed, until the
// test ends. It returns once all were tried.
func crowd(t *testing.T, at string, n int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	tried, ended := make(chan struct{}, n), make(chan struct{}, n)
	for range n {
		go func() {
			defer func() { ended <- struct{}{} }()
			for first := true; ctx.Err() == nil; first = false {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
				if first {
					tried <- struct{}{}
				}
				if err == nil {
					stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
					_, _ = conn.Read(make([]byte, 1)) // until it is closed
					stop()
					_ = conn.Close()
				}
				select {
				case <-ctx.Done():
				case <-time.After(200 * time.Millisecond):
				}
			}
		}()
	}
	for range n {
		<-tried
	}
	t.Cleanup(func() {
		cancel()
		for range n {
			<-ended
		}
	})
}

// Strangers hold everything at the address of the API, and come again: probes and metrics that have an
// address of their own are answered, each time.
func TestStrangersDoNotKeepProbesWaiting(t *testing.T) {
	t.Parallel()
	w := runServer(t, Access{Probes: &local, PerClient: maxConnections})
	crowd(t, w.main.Addr().String(), maxConnections+76)
	for range 5 {
		for path, want := range map[string]string{"/livez": "alive", "/metrics": "annals_http_connections_refused_total"} {
			soon, cancel := context.WithTimeout(t.Context(), patience)
			status, body, err := fetchFrom(soon, "127.0.0.1", w.ProbesURL()+path)
			cancel()
			if err != nil || status != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("%s: %d %.80s %v", path, status, body, err)
			}
		}
	}
	for url, want := range map[string]int{w.ProbesURL() + "/readyz": 503, w.ProbesURL() + "/v1/info": 404} {
		if status, _, err := fetchFrom(t.Context(), "127.0.0.1", url); err != nil || status != want {
			t.Errorf("%s: %d %v, want %d", url, status, err, want)
		}
	}
}

// patience is what an orchestrator has at least.
const patience = 3 * time.Second

// With a listener of their own, probes and metrics are not where the API is.
func TestProbesApart(t *testing.T) {
	t.Parallel()
	w := runServer(t, Access{Probes: &local})
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		if status, body, err := fetchFrom(t.Context(), "127.0.0.1", w.URL()+path); err != nil || status != http.StatusNotFound {
			t.Errorf("%s at the API: %d %s %v", path, status, body, err)
		}
	}
	if status, _, err := fetchFrom(t.Context(), "127.0.0.1", w.URL()+"/v1/info"); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("the API, which is not open yet: %d %v", status, err)
	}
	taken := local
	taken.Port, taken.Chosen = w.probes.Addr().(*net.TCPAddr).Port, true
	again := newServer(Access{Probes: &taken})
	err := again.open(t.Context())
	if f, is := errors.AsType[*console.Failure](err); !is || f.Code != CodePortTaken || !strings.Contains(f.What, "--probes") {
		t.Errorf("an address that is taken: %v", err)
	}
	if conn, err := net.Dial("tcp", again.main.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("it listens all the same")
	}
}

// One client, with as many connections as it likes, leaves others theirs: all of it at the same address.
func TestAClientHasItsShareOfConnections(t *testing.T) {
	t.Parallel()
	w := runServer(t, Access{})
	if _, _, err := fetchFrom(t.Context(), "127.0.0.2", w.URL()+"/livez"); err != nil {
		t.Skipf("SKIPPED, NOT PASSED: this machine has no second address: %v", err)
	}
	crowd(t, w.main.Addr().String(), 1100)
	for range 5 {
		for path, want := range map[string]int{"/livez": 200, "/metrics": 200, "/v1/info": 503} {
			soon, cancel := context.WithTimeout(t.Context(), patience)
			status, body, err := fetchFrom(soon, "127.0.0.2", w.URL()+path)
			cancel()
			if err != nil || status != want {
				t.Errorf("%s for another: %d %.80s %v", path, status, body, err)
			}
		}
	}
	found, err := w.config.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	refused := 0.0
	for _, f := range found {
		if f.GetName() == "annals_http_connections_refused_total" {
			refused = f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	if refused < 1100-maxPerClient {
		t.Errorf("%v connections were refused", refused)
	}
}

// A connection above a client's share is closed at once, and one that ends makes room.
func TestWhatIsOverAShareIsClosed(t *testing.T) {
	t.Parallel()
	w := runServer(t, Access{PerClient: 1})
	at := w.main.Addr().String()
	held, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := io.WriteString(held, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if n, err := held.Read(make([]byte, 12)); n == 0 {
		t.Fatal(err)
	}
	n, more := 0, net.Conn(nil)
	if more, err = net.Dial("tcp", at); err == nil { // it may be closed before it is even there
		n, err = more.Read(make([]byte, 1))
		_ = more.Close()
	}
	if n > 0 || err == nil || time.Since(began) > firstByte {
		t.Errorf("one more: %d bytes, %v after %v", n, err, time.Since(began))
	}
	_ = held.Close()
	for { // the server notices
		status, _, err := fetchFrom(t.Context(), "127.0.0.1", w.URL()+"/livez")
		if err == nil && status == http.StatusOK {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("nobody has a place: %d %v", status, err)
		}
	}
}

// Who says nothing is cut off soon; who has said something has the time of a request.
func TestTheFirstByteComesSoon(t *testing.T) {
	t.Parallel()
	w := runServer(t, Access{})
	var all sync.WaitGroup
	for first, took := range map[string]struct{ least, most time.Duration }{
		"":           {firstByte / 2, 2*firstByte + firstByte/4}, // less than a request has
		"GET /livez": {2 * firstByte, 6 * firstByte},
	} {
		all.Go(func() {
			began := time.Now()
			conn, err := net.Dial("tcp", w.main.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, first)
			_, _ = io.ReadAll(conn)
			if d := time.Since(began); d < took.least || d > took.most {
				t.Errorf("%q was cut off after %v", first, d)
			}
		})
	}
	all.Wait()
}

func TestWhoIsOneClient(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"10.1.2.3": "10.1.2.3/32", "::ffff:10.1.2.3": "10.1.2.3/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "::1": "::/64",
	} {
		if got := clientOf(&net.TCPAddr{IP: net.ParseIP(given), Port: 7}); got.String() != want {
			t.Errorf("%s is %s, want %s", given, got, want)
		}
	}
	if got := clientOf(&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}).String(); got != "fe80::/64" {
		t.Errorf("with a zone: %s", got)
	}
	if got := clientOf(&net.UnixAddr{}); got.IsValid() {
		t.Errorf("without an address: %s", got)
	}
}

// Clients with their whole share leave some for those that have few, unless one client may have all.
func TestTheLastConnectionsAreForThoseWithFew(t *testing.T) {
	t.Parallel()
	client := func(n byte) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 32) }
	takes := func(s *shares, from netip.Prefix) (n int) {
		for s.take(from) {
			n++
		}
		return n
	}
	s := &shares{most: maxPerClient, held: map[netip.Prefix]int{}}
	var got []int
	for n := range byte(6) {
		got = append(got, takes(s, client(n)))
	}
	last := maxConnections - lastConnections - 3*maxPerClient
	want := []int{maxPerClient, maxPerClient, maxPerClient, last, fewConnections, fewConnections}
	if !slices.Equal(got, want) {
		t.Errorf("six clients take %v, want %v", got, want)
	}
	const room = 10
	for range 2*fewConnections + room { // the last two clients have some of it
		s.give(client(0))
	}
	if n := takes(s, client(6)); n != room {
		t.Errorf("a client takes %d where there is room for %d again", n, room)
	}
	if n := takes(&shares{most: maxConnections, held: map[netip.Prefix]int{}}, client(0)); n != maxConnections {
		t.Errorf("a proxy takes %d, want all", n)
	}
}

// Beyond the most connections others wait, and are served when one ends.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	w := runServer(t, Access{PerClient: maxConnections})
	var held []net.Conn
	for range maxConnections {
		conn, err := net.Dial("tcp", w.main.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	served := make(chan error, 1)
	go func() {
		_, _, err := fetchFrom(t.Context(), "127.0.0.1", w.URL()+"/livez")
		served <- err
	}()
	select {
	case err := <-served:
		t.Errorf("one more was served: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	for _, conn := range held {
		_ = conn.Close()
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
