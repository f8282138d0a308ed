package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Server is a running NATS server. All methods may be called from many
// goroutines.
type Server struct {
	nats    *natsserver.Server
	log     *logger
	inside  *insider // nil when nobody is asked who he is
	secure  bool     // the network is encrypted
	barrier *barrier // nil when none is needed
	release []func() // what Shutdown gives back, last taken first
	stop    sync.Once
}

// Start starts a server and returns when it takes connections. Errors that
// callers branch on: [ErrPortInUse] ([*PortError]), [ErrDirInUse] ([*DirError]),
// [ErrUsers] ([*UsersError]), [ErrTLS].
func Start(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Server{log: &logger{to: cfg.Logger}}
	if err := s.start(cfg); err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("start embedded server: %w", err)
	}
	return s, nil
}

func (s *Server) start(cfg Config) error {
	dir, err := s.takeDir(cfg)
	if err != nil {
		return err
	}
	// Asked before the store is opened, which may take seconds.
	if err := checkPort(cfg.Host, cfg.Port); err != nil {
		return err
	}
	opts, inside, err := options(cfg, dir)
	if err != nil {
		return err
	}
	s.inside, s.secure = inside, opts.TLSConfig != nil
	return s.run(cfg, opts)
}

// run starts the server with the given options in a directory that is taken.
func (s *Server) run(cfg Config, opts *natsserver.Options) error {
	var err error
	if s.nats, err = natsserver.NewServer(opts); err != nil {
		return err
	}
	s.nats.SetLoggerV2(s.log, false, false, false)
	s.nats.Start()
	return s.ready(cfg)
}

// ready returns when the server takes connections. It listens for other servers
// in the background, so it may give up long after it was started.
func (s *Server) ready(cfg Config) error {
	const look = 100 * time.Millisecond
	for start := time.Now(); ; {
		is := s.nats.ReadyForConnections(look)
		if err := s.log.err(); err != nil {
			return portError(cfg, err)
		}
		if is {
			return nil
		}
		if time.Since(start) >= cfg.ReadyTimeout {
			return fmt.Errorf("not ready after %s", cfg.ReadyTimeout)
		}
	}
}

// takeDir makes and locks the directory, and opens the barrier on it.
func (s *Server) takeDir(cfg Config) (string, error) {
	if cfg.Dir == "" {
		return s.takeTempDir()
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return "", err
	}
	s.release = append(s.release, func() { _ = lock.Close() })
	if !cfg.needsBarrier() {
		return cfg.Dir, nil
	}
	disk, err := openFilesystem(cfg.Dir)
	if err != nil {
		return "", err
	}
	s.release = append(s.release, func() { _ = disk.close() })
	s.barrier = newBarrier(disk.sync)
	return cfg.Dir, nil
}

func (s *Server) takeTempDir() (string, error) {
	dir, err := makeTempDir()
	if err != nil {
		return "", err
	}
	s.release = append(s.release, func() { removeDir(dir) })
	return dir, nil
}

func makeTempDir() (string, error) {
	dir, err := os.MkdirTemp("", "annals-")
	if err != nil {
		return "", fmt.Errorf("make temporary directory: %w", err)
	}
	return dir, nil
}

// removeDir removes a temporary directory. That it may stay is no error that
// anybody could act on.
func removeDir(dir string) { _ = os.RemoveAll(dir) }

// checkPort returns a *PortError if somebody listens there.
func checkPort(host string, port int) error {
	if port <= 0 {
		return nil
	}
	address := net.JoinHostPort(host, strconv.Itoa(port))
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l.Close()
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return &PortError{Address: address, Reason: err}
	}
	return err
}

// portError makes a *PortError of the server's own complaint, for the case
// that the port was taken between checkPort and now.
func portError(cfg Config, err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	address := net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))
	if op, is := errors.AsType[*net.OpError](err); is && op.Addr != nil {
		address = op.Addr.String() // that of the cluster's routes, perhaps
	}
	return &PortError{Address: address, Reason: err}
}

// URL returns where clients connect, such as nats://127.0.0.1:4222, or tls:// if
// that is what is spoken; "" if the server does not listen.
func (s *Server) URL() string {
	address, is := s.nats.Addr().(*net.TCPAddr)
	if !is {
		return ""
	}
	scheme := "nats://"
	if s.secure {
		scheme = "tls://"
	}
	return scheme + net.JoinHostPort(reachable(address.IP), strconv.Itoa(address.Port))
}

// MonitorURL returns where the server's monitoring answers, such as
// http://127.0.0.1:8222; "" if [Config.Monitor] did not ask for it.
func (s *Server) MonitorURL() string {
	address := s.nats.MonitorAddr()
	if address == nil {
		return ""
	}
	return "http://" + net.JoinHostPort(reachable(address.IP), strconv.Itoa(address.Port))
}

// reachable returns an address at which a client on this machine finds what
// listens on ip.
func reachable(ip net.IP) string {
	if ip.IsUnspecified() {
		ip = net.IPv4(127, 0, 0, 1)
	}
	return ip.String()
}

// Connect returns a connection that needs no network: half the latency of
// loopback TCP. It belongs to the caller, who closes it before Shutdown. Where
// there are users it is one that nobody else can be, who may do everything in the
// account.
func (s *Server) Connect(opts ...nats.Option) (*nats.Conn, error) {
	own := []nats.Option{nats.InProcessServer(s.nats)}
	if s.inside != nil {
		own = append(own, nats.Nkey(s.inside.public, s.inside.sign))
	}
	nc, err := nats.Connect("", append(own, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("connect in process: %w", err)
	}
	return nc, nil
}

// Barrier returns what makes acknowledged writes durable; nil when nothing is
// needed, because each write is synced or because nothing is to be kept.
//
// A call returns nil after a sync of the whole filesystem that began after the
// call: everything that the server had acknowledged before the call is then
// on the disk. All who call during one sync share the next. The context
// bounds the wait. Any other error matches [ErrNotDurable] and stays: see [Server.Failed].
func (s *Server) Barrier() func(context.Context) error {
	if s.barrier == nil {
		return nil
	}
	return s.barrier.wait
}

// Failed returns a channel that is closed when a sync has failed: the process
// cannot promise durability any more and should end. It is nil, and never
// closed, when there is no barrier.
func (s *Server) Failed() <-chan struct{} {
	if s.barrier == nil {
		return nil
	}
	return s.barrier.failed
}

// Shutdown stops the server, waits until it has stopped, and gives up the
// directory. Whoever waits on the barrier fails. A second call does nothing.
func (s *Server) Shutdown() {
	s.stop.Do(func() {
		if s.nats != nil {
			s.nats.Shutdown()
			s.nats.WaitForShutdown()
		}
		if s.barrier != nil {
			s.barrier.close()
		}
		for _, release := range slices.Backward(s.release) {
			release()
		}
	})
}
