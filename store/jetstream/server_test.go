package jetstream

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/test/ram"
)

// The servers that all tests of the package share: one that stands alone, and
// three in a cluster. Each test has a namespace of its own.
var (
	single  = fixture{start: startSingle}
	cluster = fixture{start: startCluster}
)

func TestMain(m *testing.M) {
	// Most tests wait for servers, not for a processor.
	ram.Use()
	_ = flag.Set("test.parallel", "20") // the command line may say something else
	code := m.Run()
	single.stop()
	cluster.stop()
	if code == 0 {
		// A server waits half a minute for the answer of a source that is gone.
		waiting := goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*stream).trySetupSourceConsumer.func3")
		if err := goleak.Find(waiting); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// fixture is a set of servers that is started when the first test needs it.
type fixture struct {
	start   func(dir string) ([]*server.Server, error)
	once    sync.Once
	servers []*server.Server
	dir     string
	err     error
}

func (f *fixture) use(tb testing.TB) []*server.Server {
	tb.Helper()
	f.once.Do(func() {
		if f.dir, f.err = os.MkdirTemp("", "annals-jetstream-"); f.err == nil { //nolint:usetesting // it outlives the test that comes first
			f.servers, f.err = f.start(f.dir)
		}
	})
	if f.err != nil {
		tb.Fatal(f.err)
	}
	return f.servers
}

func (f *fixture) stop() {
	for _, s := range f.servers {
		s.Shutdown()
	}
	for _, s := range f.servers {
		s.WaitForShutdown()
	}
	if f.dir != "" {
		_ = os.RemoveAll(f.dir)
	}
}

func startSingle(dir string) ([]*server.Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "single", Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return nil, fmt.Errorf("the server is not ready")
	}
	return []*server.Server{s}, nil
}

const clusterLen = 3

func startCluster(dir string) ([]*server.Server, error) {
	options, err := clusterOptions(dir)
	if err != nil {
		return nil, err
	}
	var servers []*server.Server
	for _, o := range options {
		s, err := server.NewServer(o)
		if err != nil {
			return nil, err
		}
		s.Start()
		servers = append(servers, s)
	}
	return servers, waitFor(patience, func() bool { return isCluster(servers) })
}

func isCluster(servers []*server.Server) bool {
	return slices.ContainsFunc(servers, func(s *server.Server) bool {
		return s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == clusterLen
	})
}

func clusterOptions(dir string) (all []*server.Options, err error) {
	ports, err := embedded.FreePorts(2 * clusterLen)
	if err != nil {
		return nil, err
	}
	routes := make([]*url.URL, clusterLen)
	for i := range routes {
		routes[i] = &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", ports[i])}
	}
	for i := range clusterLen {
		all = append(all, &server.Options{
			ServerName: fmt.Sprintf("s%d", i), Host: "127.0.0.1", Port: ports[clusterLen+i], NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: filepath.Join(dir, fmt.Sprint(i)),
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]},
			Routes:  routes,
		})
	}
	return all, nil
}

// patience is how long a test waits for what must happen.
const patience = 2 * time.Minute

// waitFor polls until is reports true.
func waitFor(most time.Duration, is func() bool) error {
	deadline := time.After(most)
	tick := time.NewTicker(20 * time.Millisecond) // most ask a server, which has other things to do
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			return fmt.Errorf("not within %s", most)
		}
	}
	return nil
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	if err := waitFor(patience, is); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// connect opens a connection to one of the servers, closed when the test ends.
func connect(tb testing.TB, s *server.Server, options ...nats.Option) *nats.Conn {
	tb.Helper()
	options = append([]nats.Option{
		nats.InProcessServer(s), nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond),
	}, options...)
	nc, err := nats.Connect("", options...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	return nc
}

var namespaces struct {
	sync.Mutex
	used map[string]int
}

// namespace returns one that no other test has.
func namespace(tb testing.TB) string {
	namespaces.Lock()
	defer namespaces.Unlock()
	if namespaces.used == nil {
		namespaces.used = map[string]int{}
	}
	base := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(tb.Name()))
	base = "t" + base[max(0, len(base)-40):]
	namespaces.used[base]++
	return fmt.Sprintf("%s-%d", base, namespaces.used[base])
}

// open opens a log, closed when the test ends, in a fresh namespace unless the
// configuration has one.
func open(tb testing.TB, f *fixture, cfg Config) *Log {
	tb.Helper()
	servers := f.use(tb)
	if cfg.Conn == nil {
		cfg.Conn = connect(tb, servers[0])
	}
	if cfg.Namespace == "" {
		cfg.Namespace = namespace(tb)
	}
	if cfg.Replicas == 0 {
		cfg.Replicas = len(servers)
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	l, err := Open(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := l.Close(); err != nil {
			tb.Error(err)
		}
	})
	return l
}
