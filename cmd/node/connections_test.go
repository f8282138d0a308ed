package node

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// runWeb runs what a process serves over HTTP until the test ends.
func runWeb(t *testing.T, access httpAccess) *web {
	t.Helper()
	w := newWeb(newSession(App{}, Streams{}), address{host: "127.0.0.1"}, access)
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
	w := runWeb(t, httpAccess{probes: &address{host: "127.0.0.1"}, most: maxConnections})
	crowd(t, w.main.listener.Addr().String(), maxConnections+76)
	for range 5 {
		for path, want := range map[string]string{"/livez": "alive", "/metrics": "annals_build_info"} {
			soon, cancel := context.WithTimeout(t.Context(), patienceWeb)
			status, body, err := fetchFrom(soon, "127.0.0.1", w.probesURL()+path)
			cancel()
			if err != nil || status != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("%s: %d %.80s %v", path, status, body, err)
			}
		}
	}
	for url, want := range map[string]int{w.probesURL() + "/readyz": 503, w.probesURL() + "/v1/info": 404} {
		if status, _, err := fetchFrom(t.Context(), "127.0.0.1", url); err != nil || status != want {
			t.Errorf("%s: %d %v, want %d", url, status, err, want)
		}
	}
}

// patienceWeb is what an orchestrator has at least.
const patienceWeb = 3 * time.Second

// With a listener of their own, probes and metrics are not where the API is.
func TestProbesApart(t *testing.T) {
	t.Parallel()
	w := runWeb(t, httpAccess{probes: &address{host: "127.0.0.1"}})
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		if status, body, err := fetchFrom(t.Context(), "127.0.0.1", w.url()+path); err != nil || status != http.StatusNotFound {
			t.Errorf("%s at the API: %d %s %v", path, status, body, err)
		}
	}
	if status, _, err := fetchFrom(t.Context(), "127.0.0.1", w.url()+"/v1/info"); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("the API, which is not open yet: %d %v", status, err)
	}
	taken := *w.access.probes
	taken.port, taken.chosen = w.probes.listener.Addr().(*net.TCPAddr).Port, true
	again := newWeb(newSession(App{}, Streams{}), address{host: "127.0.0.1"}, httpAccess{probes: &taken})
	err := again.open(t.Context())
	if f, is := errors.AsType[*Failure](err); !is || f.Code != codePortTaken || !strings.Contains(f.What, "--probes") {
		t.Errorf("an address that is taken: %v", err)
	}
	if conn, err := net.Dial("tcp", again.main.listener.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("it listens all the same")
	}
}

// One client, with as many connections as it likes, leaves others theirs: all of it at the same address.
func TestAClientHasItsShareOfConnections(t *testing.T) {
	t.Parallel()
	w := runWeb(t, httpAccess{})
	if _, _, err := fetchFrom(t.Context(), "127.0.0.2", w.url()+"/livez"); err != nil {
		t.Skipf("SKIPPED, NOT PASSED: this machine has no second address: %v", err)
	}
	crowd(t, w.main.listener.Addr().String(), 1100)
	for range 5 {
		for path, want := range map[string]int{"/livez": 200, "/metrics": 200, "/v1/info": 503} {
			soon, cancel := context.WithTimeout(t.Context(), patienceWeb)
			status, body, err := fetchFrom(soon, "127.0.0.2", w.url()+path)
			cancel()
			if err != nil || status != want {
				t.Errorf("%s for another: %d %.80s %v", path, status, body, err)
			}
		}
	}
	found, err := w.metrics.Gather()
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
	w := runWeb(t, httpAccess{most: 1})
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", w.main.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	held, began := dial(), time.Now()
	if _, err := io.WriteString(held, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if n, err := held.Read(make([]byte, 12)); n == 0 {
		t.Fatal(err)
	}
	if n, err := dial().Read(make([]byte, 1)); n > 0 || err == nil || time.Since(began) > firstByte {
		t.Errorf("one more: %d bytes, %v after %v", n, err, time.Since(began))
	}
	_ = held.Close()
	for { // the server notices
		status, _, err := fetchFrom(t.Context(), "127.0.0.1", w.url()+"/livez")
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
	w := runWeb(t, httpAccess{})
	var all sync.WaitGroup
	for first, took := range map[string]struct{ least, most time.Duration }{
		"":           {firstByte / 2, 2*firstByte + firstByte/4}, // less than a request has
		"GET /livez": {2 * firstByte, 6 * firstByte},
	} {
		all.Go(func() {
			began := time.Now()
			conn, err := net.Dial("tcp", w.main.listener.Addr().String())
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
	w := runWeb(t, httpAccess{most: maxConnections})
	var held []net.Conn
	for range maxConnections {
		conn, err := net.Dial("tcp", w.main.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	served := make(chan error, 1)
	go func() {
		_, _, err := fetchFrom(t.Context(), "127.0.0.1", w.url()+"/livez")
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
